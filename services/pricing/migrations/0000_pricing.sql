-- Everything of the service lies in the schema "pricing", which the migrator has made. Amounts are integer minor units
-- of the currency beside them. Product ids compare by bytes (COLLATE "C"): cheaper, and the same order on every machine.

CREATE TABLE pricing.products (
  product_id text COLLATE "C" PRIMARY KEY,
  name text NOT NULL,
  base_price_minor bigint NOT NULL CHECK (base_price_minor >= 0),
  -- A later cost signal replaces it, so it is known since when this cost is stated.
  cost_minor bigint CHECK (cost_minor >= 0),
  cost_stated_at timestamptz,
  currency text NOT NULL,
  -- At creation only; the inventory is the truth afterwards. NULL: not tracked.
  stock integer CHECK (stock >= 0),
  attributes jsonb NOT NULL DEFAULT '{}',
  -- Of the whole document, list prices included: a write that says nothing new publishes nothing.
  content_hash text NOT NULL,
  -- Grows with every change of what a price follows from: the product, its list prices, its signals. Never restarts.
  revision bigint NOT NULL,
  -- A tombstone and not a DELETE: revision and sequence must outlive the product.
  deleted_at timestamptz,
  -- Of this life: set anew when a deleted product is made again.
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  CHECK ((cost_minor IS NULL) = (cost_stated_at IS NULL))
) WITH (fillfactor = 80);
--> statement-breakpoint
CREATE TABLE pricing.list_prices (
  product_id text COLLATE "C" NOT NULL REFERENCES pricing.products,
  -- Place in the product's document: the last tie-breaker between two list prices.
  position smallint NOT NULL,
  -- NULL: every segment.
  segment text,
  currency text NOT NULL,
  min_quantity integer NOT NULL CHECK (min_quantity >= 1),
  -- From inclusive, to exclusive; NULL: open.
  valid_from timestamptz,
  valid_to timestamptz,
  price_minor bigint NOT NULL CHECK (price_minor >= 0),
  -- Higher wins.
  priority integer NOT NULL DEFAULT 0,
  PRIMARY KEY (product_id, position)
);
--> statement-breakpoint
-- The latest observation of each kind. A deleted product's rows stay without a value: an old event that comes again after
-- the product was made anew must still be recognised as old.
CREATE TABLE pricing.signals (
  product_id text COLLATE "C" NOT NULL REFERENCES pricing.products,
  kind text NOT NULL CHECK (kind IN ('demand', 'competitor_price', 'stock', 'cost')),
  -- demand: {demand}; competitor_price: {priceMinor, confidence}; stock: {stock}; cost: {costMinor}. NULL: void.
  value jsonb,
  observed_at timestamptz NOT NULL,
  -- Decides between two observations of the same moment, so that the outcome does not depend on the order of arrival.
  event_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (product_id, kind)
) WITH (fillfactor = 80);
--> statement-breakpoint
-- The row with the highest version is in force, for every replica at once. Only its epoch and settings_revision change.
CREATE TABLE pricing.policies (
  version bigint PRIMARY KEY,
  policy jsonb NOT NULL,
  -- Milliseconds per kind of signal, 0: never stale. Prices follow from it, so it is part of the version.
  signal_ttl_ms jsonb NOT NULL,
  -- Of the newest live settings document that said the same; an older document changes nothing.
  epoch bigint NOT NULL,
  settings_revision bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
--> statement-breakpoint
-- Before the first settings arrive there is a policy too: a price is the base price, never below cost.
INSERT INTO pricing.policies (version, policy, signal_ttl_ms, epoch, settings_revision)
VALUES (0, '{"market": [], "customer": [], "corridor": {}}',
  '{"demand": 3600000, "competitor_price": 3600000, "stock": 3600000, "cost": 3600000}', -1, -1);
--> statement-breakpoint
-- The market price in force, one row per product that ever was. Published by compare-and-set on sequence and facts_revision;
-- policy_version and decided_at never go back. Not indexed besides its key and with room on each page: a recalculation
-- of everything rewrites every row, and then needs no index entry (HOT).
CREATE TABLE pricing.prices (
  product_id text COLLATE "C" PRIMARY KEY REFERENCES pricing.products,
  -- Counts what readers can tell apart: grows when price, cost or product changed, not with each decision.
  sequence bigint NOT NULL,
  -- products.revision when this was decided. Whoever raises that publishes in the same transaction, so the two are equal.
  facts_revision bigint NOT NULL,
  policy_version bigint NOT NULL,
  -- NULL: no price (the product is deleted, or its first price is not decided yet).
  price_minor bigint CHECK (price_minor >= 0),
  currency text NOT NULL,
  base_price_minor bigint NOT NULL,
  -- The cost in force, from product or signal: quotes stay above it.
  cost_minor bigint,
  -- What publish was given and what it did: publish(facts, policy, decided_at) gives price and steps again.
  facts jsonb,
  steps jsonb NOT NULL DEFAULT '[]',
  shadow jsonb NOT NULL DEFAULT '[]',
  skipped jsonb NOT NULL DEFAULT '[]',
  binding_rule text,
  reason text NOT NULL,
  -- Of the history row with this sequence.
  decision_id uuid NOT NULL,
  -- The database's clock, never before the decision that it replaced.
  decided_at timestamptz NOT NULL
) WITH (fillfactor = 50);
--> statement-breakpoint
-- Append-only. Months are made ahead by the operator; there is no DEFAULT partition, so a row without a partition is refused and
-- its writer waits.
CREATE TABLE pricing.price_history (
  product_id text COLLATE "C" NOT NULL,
  decided_at timestamptz NOT NULL,
  sequence bigint NOT NULL,
  decision_id uuid NOT NULL,
  price_minor bigint NOT NULL,
  currency text NOT NULL,
  policy_version bigint NOT NULL,
  facts_revision bigint NOT NULL,
  facts jsonb NOT NULL,
  steps jsonb NOT NULL,
  shadow jsonb NOT NULL,
  skipped jsonb NOT NULL,
  binding_rule text,
  reason text NOT NULL,
  PRIMARY KEY (product_id, decided_at, sequence)
) PARTITION BY RANGE (decided_at);
--> statement-breakpoint
CREATE TABLE pricing.tasks (
  task_id uuid PRIMARY KEY,
  type text NOT NULL CHECK (type IN ('demand', 'competitor_price', 'stock', 'cost', 'recalculate')),
  -- NULL: all products, in chunks.
  product_id text COLLATE "C",
  status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'skipped')),
  -- What asked for it: api, policy, schedule.
  origin text NOT NULL,
  -- The message, so that the sweeper can send it again.
  message jsonb NOT NULL,
  -- Of a single product; those of all products are counted from their chunks.
  changed boolean NOT NULL DEFAULT false,
  error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  finished_at timestamptz,
  -- When it was last sent, by whoever made it or by the sweeper.
  nudged_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((finished_at IS NOT NULL) = (status IN ('succeeded', 'failed', 'skipped')))
);
--> statement-breakpoint
-- One recalculation of everything waits at most, and one runs at most.
CREATE UNIQUE INDEX tasks_one_queued ON pricing.tasks ((product_id IS NULL)) WHERE product_id IS NULL AND status = 'queued';
--> statement-breakpoint
CREATE UNIQUE INDEX tasks_one_running ON pricing.tasks ((product_id IS NULL)) WHERE product_id IS NULL AND status = 'running';
--> statement-breakpoint
-- For the sweeper and the gauges: what is not finished yet.
CREATE INDEX tasks_open ON pricing.tasks (nudged_at) WHERE finished_at IS NULL;
--> statement-breakpoint
CREATE INDEX tasks_all_products ON pricing.tasks (created_at) WHERE product_id IS NULL;
--> statement-breakpoint
-- An event_id names its task for ever, also when the task was somebody else's that it joined.
CREATE TABLE pricing.task_events (
  event_id text COLLATE "C" PRIMARY KEY,
  task_id uuid NOT NULL REFERENCES pricing.tasks
);
--> statement-breakpoint
-- A chunk is applied once: its counters are written by the transaction that publishes its prices. Counters of the task are sums.
CREATE TABLE pricing.task_chunks (
  task_id uuid NOT NULL REFERENCES pricing.tasks,
  chunk integer NOT NULL,
  product_ids text[] NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'done', 'failed')),
  total integer NOT NULL,
  done integer NOT NULL DEFAULT 0,
  changed integer NOT NULL DEFAULT 0,
  failed integer NOT NULL DEFAULT 0,
  error text,
  finished_at timestamptz,
  PRIMARY KEY (task_id, chunk)
);
--> statement-breakpoint
create table "pricing".inbox (
  consumer text not null,
  message_id text not null,
  claimed_at timestamptz not null default now(),
  primary key (consumer, message_id)
);
--> statement-breakpoint
create index inbox_claimed_at on "pricing".inbox (claimed_at);
--> statement-breakpoint
create table "pricing".outbox (
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
create index outbox_pending on "pricing".outbox (sink, bucket, id) where parked_at is null;
--> statement-breakpoint
create index outbox_faulty on "pricing".outbox (sink, aggregate) where attempts > 0;
