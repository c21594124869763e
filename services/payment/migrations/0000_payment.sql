-- Everything of the service lies in the schema "payment", which the migrator has made. Amounts are hundredths of the unit that
-- processors count in. Times that take part in the protocol are milliseconds of the epoch: exact, and the same in every zone.

-- Who works on a partition of the topic "payments". The epoch rises when the owner changes; whoever writes a payment holds its
-- partition's row FOR SHARE with the epoch that he knows, so that a former owner writes nothing.
CREATE TABLE payment.partition_owners (
  topic_partition integer PRIMARY KEY,
  owner text NOT NULL,
  epoch bigint NOT NULL,
  taken_at timestamptz NOT NULL DEFAULT now()
);
--> statement-breakpoint
-- Unique across the months, for good: what makes a repeat a repeat.
CREATE TABLE payment.payment_keys (
  correlation_id uuid NOT NULL,
  source text NOT NULL CHECK (source IN ('api', 'order')),
  created_at timestamptz NOT NULL,
  amount_minor bigint NOT NULL CHECK (amount_minor > 0),
  -- The first other amount that came with this id.
  conflict_amount_minor bigint,
  PRIMARY KEY (correlation_id, source)
);
--> statement-breakpoint
-- One row per payment, from the intent to send it on. src/domain/payment.ts is its state machine; every write is a
-- compare-and-set on version. Months are made ahead by the operator; there is no DEFAULT partition: a row without one waits.
CREATE TABLE payment.payments (
  correlation_id uuid NOT NULL,
  source text NOT NULL,
  created_at timestamptz NOT NULL,
  topic_partition integer NOT NULL,
  amount_minor bigint NOT NULL,
  order_id text,
  deadline_ms bigint,
  -- When it was accepted: what maxHold counts from.
  accepted_at_ms bigint NOT NULL,
  state text NOT NULL CHECK (state IN ('waiting', 'sending', 'unknown', 'settled', 'cancelled', 'expired')),
  processor text CHECK (processor IN ('default', 'fallback')),
  requested_at_ms bigint,
  -- An attempt at this processor may have been recorded: it is asked until it says so.
  pinned boolean NOT NULL DEFAULT false,
  attempts integer NOT NULL DEFAULT 0,
  version integer NOT NULL,
  -- How it ends when it turns out that nothing was recorded: somebody asked for its end while it was under way.
  ending text CHECK (ending IN ('cancelled', 'expired')),
  refund text CHECK (refund IN ('requested', 'done', 'manual_review')),
  settled_at timestamptz,
  -- Why a person should look at it.
  review text,
  PRIMARY KEY (correlation_id, source, created_at),
  CHECK (state NOT IN ('sending', 'unknown', 'settled') OR (processor IS NOT NULL AND requested_at_ms IS NOT NULL))
) PARTITION BY RANGE (created_at);
--> statement-breakpoint
CREATE INDEX payments_open ON payment.payments (topic_partition, state, attempts)
  WHERE state IN ('waiting', 'sending', 'unknown');
--> statement-breakpoint
CREATE INDEX payments_refunds ON payment.payments (topic_partition) WHERE refund = 'requested';
--> statement-breakpoint
CREATE INDEX payments_review ON payment.payments (created_at) WHERE refund = 'manual_review' OR review IS NOT NULL;
--> statement-breakpoint
-- The ragged edges of a summary's window.
CREATE INDEX payments_settled ON payment.payments (requested_at_ms) INCLUDE (processor, amount_minor)
  WHERE state = 'settled';
--> statement-breakpoint
-- Settled payments by requested_at, added to by the statement that settles. Shards keep workers from waiting for each other.
CREATE TABLE payment.rollups (
  -- Length of the bucket: a second, a minute, an hour, a day.
  granularity_ms integer NOT NULL,
  bucket_ms bigint NOT NULL,
  processor text NOT NULL,
  shard smallint NOT NULL,
  payments bigint NOT NULL,
  amount_minor numeric(30, 0) NOT NULL,
  PRIMARY KEY (granularity_ms, bucket_ms, processor, shard)
) WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0);
--> statement-breakpoint
-- What people did by hand.
CREATE TABLE payment.audit (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  actor text NOT NULL,
  action text NOT NULL,
  correlation_id uuid,
  source text,
  reason text NOT NULL,
  before jsonb
);
--> statement-breakpoint
create table "payment".outbox (
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
create index outbox_pending on "payment".outbox (sink, bucket, id) where parked_at is null;
--> statement-breakpoint
create index outbox_faulty on "payment".outbox (sink, aggregate) where attempts > 0;
