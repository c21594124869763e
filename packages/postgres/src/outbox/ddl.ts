/** Buckets that relays share out among themselves. More than a few relays a service make no sense. */
export const bucketCount = 16;

/**
 * Writers of one lane wait for each other from their append to their commit. A power of two times `bucketCount`, so a lane lies
 * in one bucket; the lock table never holds more than this many of our locks.
 */
export const laneCount = 512;

/** The outbox of a service, for its migration. */
export function outboxDdl(schema: string): string {
  return `create table "${schema}".outbox (
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
create index outbox_pending on "${schema}".outbox (sink, bucket, id) where parked_at is null;
create index outbox_faulty on "${schema}".outbox (sink, aggregate) where attempts > 0;
`;
}

/** The channel on which the relays of a schema are woken. */
export function outboxChannel(schema: string): string {
  return `${schema}_outbox`;
}
