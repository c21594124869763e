import type { Pool } from "../pool.ts";
import { query } from "../transaction.ts";

export interface SinkStats {
  /** Rows waiting, counted up to 100,000. */
  depth: number;
  /** Rows given up after their own faults, counted up to 100,000. */
  parked: number;
  /** Age of the oldest waiting row; 0 when there is none. */
  oldestAgeMs: number;
}

export type OutboxStats = Record<string, SinkStats>;

export async function readOutboxStats(pool: Pool, schema: string): Promise<OutboxStats> {
  const rows = await query(
    pool,
    5000,
    ({ sql }) => sql<({ sink: string } & SinkStats)[]>`
      select sink, count(*) filter (where parked_at is null)::int as depth,
        count(*) filter (where parked_at is not null)::int as parked,
        coalesce(extract(epoch from clock_timestamp() - min(created_at) filter (where parked_at is null)) * 1000, 0)::float8
          as "oldestAgeMs"
      from (select sink, parked_at, created_at from ${sql(schema)}.outbox order by id limit 100000) as counted
      group by sink`,
  );
  return Object.fromEntries(
    rows.map(({ sink, ...stats }) => [sink, { ...stats, oldestAgeMs: Math.max(0, stats.oldestAgeMs) }]),
  );
}

export interface ParkedRow {
  id: string;
  sink: string;
  aggregate: string;
  topic: string;
  attempts: number;
  parkedAt: Date;
  lastError: string;
}

/** The rows that their sinks kept refusing, oldest first, at most 1000. */
export async function listParked(pool: Pool, schema: string): Promise<ParkedRow[]> {
  const rows = await query(
    pool,
    5000,
    ({ sql }) => sql<(Omit<ParkedRow, "parkedAt"> & { parkedAtMs: number })[]>`
      select id::text as id, sink, aggregate, topic, attempts, last_error as "lastError",
        (extract(epoch from parked_at) * 1000)::float8 as "parkedAtMs"
      from ${sql(schema)}.outbox where attempts > 0 and parked_at is not null order by id limit 1000`,
  );
  return rows.map(({ parkedAtMs, ...row }) => ({ ...row, parkedAt: new Date(parkedAtMs) }));
}

/** Lets parked rows be tried again. They come after rows of their aggregate that went meanwhile. Returns how many. */
export async function releaseParked(pool: Pool, schema: string, ids: readonly string[]): Promise<number> {
  const released = await query(
    pool,
    5000,
    ({ sql }) => sql`
      update ${sql(schema)}.outbox set parked_at = null, retry_at = null, attempts = 0
      where id = any(${[...ids]}::bigint[]) and parked_at is not null`,
  );
  return released.count;
}
