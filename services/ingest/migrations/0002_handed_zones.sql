-- Zones whose products pricing has beside those of the table of zones: the ones that the plan has no longer, with nothing left of them;
-- and while its products are left alone all of them, as they were last handed over. What changed since is told when they come back.
ALTER TABLE "ingest"."plans" ADD COLUMN "handed_zones" jsonb;
