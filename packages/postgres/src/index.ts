export { findSqlState, isConflict, isLockTimeout, isPostgresOutage } from "./errors.ts";
export { claimInbox, inboxDdl, pruneInbox } from "./inbox.ts";
export { keyedPlans } from "./keyed-plans.ts";
export { type MigrationOptions, runMigrations } from "./migrations.ts";
export { appendOutbox, type OutboxRow } from "./outbox/append.ts";
export { outboxDdl } from "./outbox/ddl.ts";
export type { Sink } from "./outbox/deliver.ts";
export { exposeOutbox } from "./outbox/metrics.ts";
export type { PendingRow } from "./outbox/port.ts";
export { makeOutboxRelay, type OutboxRelay, type OutboxRelayOptions, type SinkHealth } from "./outbox/relay.ts";
export {
  listParked,
  type OutboxStats,
  type ParkedRow,
  readOutboxStats,
  releaseParked,
  type SinkStats,
} from "./outbox/stats.ts";
export { makePool, type Pool, type PoolOptions } from "./pool.ts";
export type { Sql } from "./session.ts";
export {
  type Isolation,
  query,
  type TransactionOptions,
  type Tx,
  withSession,
  withTransaction,
} from "./transaction.ts";
