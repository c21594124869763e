-- Whether nothing that earlier polls published can still be on its way to the tables. Else what a poll finds unchanged takes its
-- sequence, so that no older message overtakes it.
ALTER TABLE "ingest"."sources" ADD COLUMN "settled" boolean NOT NULL DEFAULT false;
