-- Everything of the service lies in the schema "orders", which the migrator has made. Months of the partitioned tables are made ahead
-- by the operator; there is no DEFAULT partition: an order without one waits. All rows of an order lie in the month of its creation.

CREATE TABLE "orders"."orders" (
  "order_id" text NOT NULL,
  "created_at" timestamptz NOT NULL,
  "tenant_id" text NOT NULL,
  "customer_id" text NOT NULL,
  "idempotency_key" text NOT NULL,
  "currency" text NOT NULL,
  -- In the currency's minor units …
  "total_minor" bigint NOT NULL,
  -- … and as the payment service counts: hundredths.
  "amount_minor" bigint NOT NULL,
  -- correlationId of its charge: random, so that no client's can stand in for it.
  "payment_id" uuid NOT NULL,
  -- src/domain/saga.ts is the state machine of these.
  "status" text NOT NULL CHECK ("status" IN
    ('placed', 'reserved', 'paid', 'fulfilled', 'notified', 'rejected', 'payment_failed', 'cancelling', 'cancelled')),
  "holds_stock" boolean NOT NULL DEFAULT false,
  "refund" text NOT NULL DEFAULT 'none' CHECK ("refund" IN ('none', 'pending', 'done', 'manual')),
  "fulfilment_failures" integer NOT NULL DEFAULT 0,
  "notification" text NOT NULL DEFAULT 'pending' CHECK ("notification" IN ('pending', 'sent', 'failed')),
  "reason" text,
  -- Of the last transition; grows by one with each.
  "version" integer NOT NULL DEFAULT 1,
  -- After which no first attempt of its charge starts.
  "charge_deadline" timestamptz,
  -- When the sweeper looks at it; null: it waits for nothing.
  "overdue_at" timestamptz,
  "receipt_url" text,
  "receipt_json_url" text,
  -- Trace context of the request that placed it: what happens later belongs to the same trace.
  "traceparent" text NOT NULL,
  "updated_at" timestamptz NOT NULL,
  PRIMARY KEY ("order_id", "created_at")
) PARTITION BY RANGE ("created_at");
--> statement-breakpoint
CREATE INDEX "orders_newest" ON "orders"."orders" ("created_at" DESC, "order_id" DESC);
--> statement-breakpoint
CREATE INDEX "orders_of_tenant" ON "orders"."orders" ("tenant_id", "created_at" DESC, "order_id" DESC);
--> statement-breakpoint
CREATE INDEX "orders_overdue" ON "orders"."orders" ("overdue_at") WHERE "overdue_at" IS NOT NULL;
--> statement-breakpoint
CREATE INDEX "orders_charging" ON "orders"."orders" ("created_at") WHERE "status" IN ('reserved', 'cancelling');
--> statement-breakpoint
CREATE TABLE "orders"."order_items" (
  "order_id" text NOT NULL,
  "created_at" timestamptz NOT NULL,
  "position" smallint NOT NULL,
  "product_id" text NOT NULL,
  "name" text NOT NULL,
  "quantity" integer NOT NULL CHECK ("quantity" > 0),
  "unit_price_minor" bigint NOT NULL,
  -- Whose price it pays; null: the client's own.
  "decision_id" text,
  -- As the quote said: stock of the product when it is first sold; null: nobody counts it.
  "initial_stock" integer,
  PRIMARY KEY ("order_id", "created_at", "position")
) PARTITION BY RANGE ("created_at");
--> statement-breakpoint
CREATE TABLE "orders"."order_transitions" (
  "order_id" text NOT NULL,
  -- Of the order, so that its history lies beside it.
  "created_at" timestamptz NOT NULL,
  "version" integer NOT NULL,
  "from_status" text,
  "to_status" text NOT NULL,
  "event" text NOT NULL,
  "reason" text,
  "at" timestamptz NOT NULL,
  "trace_id" text NOT NULL,
  PRIMARY KEY ("order_id", "created_at", "version")
) PARTITION BY RANGE ("created_at");
--> statement-breakpoint
-- Unique across the months, and where an order lies.
CREATE TABLE "orders"."order_keys" (
  "order_id" text PRIMARY KEY,
  "created_at" timestamptz NOT NULL
);
--> statement-breakpoint
CREATE TABLE "orders"."idempotency_keys" (
  "tenant_id" text NOT NULL,
  "key" text NOT NULL,
  -- SHA-256 of what the request asks for.
  "body_hash" text NOT NULL,
  "order_id" text NOT NULL,
  "answer" text NOT NULL,
  "expires_at" timestamptz NOT NULL,
  PRIMARY KEY ("tenant_id", "key")
);
--> statement-breakpoint
CREATE INDEX "idempotency_keys_expiry" ON "orders"."idempotency_keys" ("expires_at");
--> statement-breakpoint
-- The truth of stock. A product that is not here has not been sold or set yet.
CREATE TABLE "orders"."inventory" (
  "product_id" text PRIMARY KEY,
  -- What can still be sold …
  "stock" integer NOT NULL CHECK ("stock" >= 0),
  -- … and what orders on their way hold.
  "reserved" integer NOT NULL DEFAULT 0 CHECK ("reserved" >= 0),
  -- The most that there was: what "low" is measured by.
  "full_stock" integer NOT NULL,
  "updated_at" timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
--> statement-breakpoint
CREATE TABLE "orders"."reservations" (
  "order_id" text NOT NULL,
  "product_id" text NOT NULL,
  "quantity" integer NOT NULL CHECK ("quantity" > 0),
  "state" text NOT NULL CHECK ("state" IN ('held', 'sold', 'released')),
  "created_at" timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY ("order_id", "product_id")
);
--> statement-breakpoint
CREATE TABLE "orders"."receipts" (
  "order_id" text PRIMARY KEY,
  "json_url" text NOT NULL,
  "page_url" text NOT NULL,
  "written_at" timestamptz NOT NULL DEFAULT now()
);
--> statement-breakpoint
create table "orders".inbox (
  consumer text not null,
  message_id text not null,
  claimed_at timestamptz not null default now(),
  primary key (consumer, message_id)
);
--> statement-breakpoint
create index inbox_claimed_at on "orders".inbox (claimed_at);
--> statement-breakpoint
create table "orders".outbox (
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
create index outbox_pending on "orders".outbox (sink, bucket, id) where parked_at is null;
--> statement-breakpoint
create index outbox_faulty on "orders".outbox (sink, aggregate) where attempts > 0;
