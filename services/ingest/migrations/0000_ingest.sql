-- The plans of all feeds, each as it was last read. A plan that its feed no longer names stays.
CREATE TABLE "ingest"."plans" (
  -- Made of source, base plan and plan: the same for ever.
  "id" uuid PRIMARY KEY,
  "source" text NOT NULL,
  "base_plan_id" text NOT NULL,
  "plan_id" text NOT NULL,
  "title" text NOT NULL,
  "online" boolean NOT NULL,
  -- Only plans that were online at any time are found.
  "ever_online" boolean NOT NULL,
  "sold_out" boolean NOT NULL,
  "organizer_company_id" text,
  -- As the source gives them, in its own time; and the instants that they name.
  "start_local" timestamp NOT NULL,
  "end_local" timestamp NOT NULL,
  "starts_at" timestamptz NOT NULL,
  "ends_at" timestamptz NOT NULL,
  "sell_from" timestamptz,
  "sell_to" timestamptz,
  -- Ready JSON of /search: reading is joining.
  "event" text NOT NULL,
  "products" boolean NOT NULL,
  "content_hash" text NOT NULL,
  -- Of the poll that read it: an older one never overwrites it.
  "sequence" bigint NOT NULL,
  "created_at" timestamptz NOT NULL DEFAULT now(),
  "updated_at" timestamptz NOT NULL DEFAULT now(),
  UNIQUE ("source", "base_plan_id", "plan_id")
);
--> statement-breakpoint
CREATE INDEX "plans_search" ON "ingest"."plans" ("starts_at", "id") INCLUDE ("ends_at") WHERE "ever_online";
--> statement-breakpoint
-- Zones of a plan, in the feed's order: zone ids repeat. Written together with their plan, so without a foreign key: checking it
-- would cost a third of the time of a large feed.
CREATE TABLE "ingest"."zones" (
  "plan" uuid NOT NULL,
  "position" smallint NOT NULL,
  "zone_id" text NOT NULL,
  "name" text NOT NULL,
  "numbered" boolean NOT NULL,
  "capacity" integer NOT NULL,
  "price_hundredths" bigint NOT NULL,
  PRIMARY KEY ("plan", "position")
);
--> statement-breakpoint
-- What a feed says and we do not believe, until a later poll says something better.
CREATE TABLE "ingest"."rejected_plans" (
  -- Of the plan, where it says who it is; else of its content.
  "id" uuid PRIMARY KEY,
  "source" text NOT NULL,
  "reason" text NOT NULL,
  "detail" text NOT NULL,
  "fragment" jsonb NOT NULL,
  "content_hash" text NOT NULL,
  "sequence" bigint NOT NULL,
  "observed_at" timestamptz NOT NULL,
  "first_seen_at" timestamptz NOT NULL DEFAULT now(),
  "last_seen_at" timestamptz NOT NULL DEFAULT now()
);
--> statement-breakpoint
CREATE INDEX "rejected_plans_source" ON "ingest"."rejected_plans" ("source", "last_seen_at");
--> statement-breakpoint
-- How polling goes. A poll takes the lease and, with it, the next sequence: whoever lost the lease has a lower one.
CREATE TABLE "ingest"."sources" (
  "name" text PRIMARY KEY,
  "sequence" bigint NOT NULL DEFAULT 0,
  "lease_owner" uuid,
  "lease_until" timestamptz,
  "next_poll_at" timestamptz NOT NULL DEFAULT now(),
  -- Of the last document that was published whole, and how it was read.
  "etag" text,
  "last_modified" text,
  "read_as" text,
  "failures" integer NOT NULL DEFAULT 0,
  "last_outcome" text,
  "last_error" text,
  "last_attempt_at" timestamptz,
  "last_success_at" timestamptz,
  "seen" integer NOT NULL DEFAULT 0,
  "changed" integer NOT NULL DEFAULT 0,
  "rejected" integer NOT NULL DEFAULT 0,
  "total_polls" bigint NOT NULL DEFAULT 0,
  "total_failures" bigint NOT NULL DEFAULT 0,
  "total_partials" bigint NOT NULL DEFAULT 0,
  "total_changed" bigint NOT NULL DEFAULT 0
);
--> statement-breakpoint
-- One row: grows with every change that a search can show. Whoever changes it waits for the one before, so revisions come
-- in the order of commits.
CREATE TABLE "ingest"."catalogue" (
  "only" boolean PRIMARY KEY DEFAULT true CHECK ("only"),
  "revision" bigint NOT NULL
);
--> statement-breakpoint
INSERT INTO "ingest"."catalogue" ("revision") VALUES (1);
--> statement-breakpoint
create table "ingest".outbox (
  id bigint generated always as identity primary key,
  bucket smallint not null,
  sink text not null,
  aggregate text not null,
  topic text not null,
  key text,
  payload text not null,
  headers jsonb not null default '{}',
  created_at timestamptz not null default clock_timestamp(),
  attempts integer not null default 0,
  retry_at timestamptz,
  parked_at timestamptz,
  last_error text
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
--> statement-breakpoint
create index outbox_pending on "ingest".outbox (sink, bucket, id) where parked_at is null;
--> statement-breakpoint
create index outbox_faulty on "ingest".outbox (sink, aggregate) where attempts > 0;
