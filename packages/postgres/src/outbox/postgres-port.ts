import type { Pool } from "../pool.ts";
import type { Sql } from "../session.ts";
import { query, type Tx, withTransaction } from "../transaction.ts";
import { bucketCount } from "./ddl.ts";
import type { OutboxPort, PendingRow } from "./port.ts";

export interface PostgresPortOptions {
  pool: Pool;
  schema: string;
  /** Bounds a claim from BEGIN to COMMIT, and so how long a stalled relay keeps its buckets. */
  claimTimeoutMs: number;
  /** Faults of its own after which a row is parked. */
  maxFaults: number;
  /** Wait after the first fault of a row; doubles with each, up to a minute. */
  faultBackoffMs: number;
  /** Buckets that one claim takes at most. Half of them, so that several relays find work; all, so that one does it all. */
  maxBuckets: number;
}

interface StoredRow {
  id: string;
  aggregate: string;
  topic: string;
  key: string | null;
  payload: string;
  headers: Record<string, string>;
  createdAtMs: number;
  attempts: number;
}

/**
 * The store in Postgres. Rows lie in buckets by the hash of their aggregate; a claim is a transaction that holds the
 * advisory locks of some buckets while the sink works. That is the whole protocol between relays: no owner table and
 * no clock to compare. A relay that is killed closes its socket, and the server frees the buckets; one that is paused, or
 * cut off without a word, is ended by the server's `idle_in_transaction_session_timeout` (set by withTransaction to the
 * claim's deadline). Rows are read in a statement after the one that took the locks: with an older snapshot they would still
 * show what the holder before has deleted.
 */
export function makePostgresPort(options: PostgresPortOptions): OutboxPort {
  const { pool, schema, maxBuckets } = options;
  const table = `${schema}.outbox`;

  /** How many have rows, and those of them that are this transaction's now: in random order, so that relays do not go for the same ones. */
  const takeBuckets = async (sql: Sql, sink: string): Promise<{ filled: number; buckets: number[] }> => {
    const [found] = await sql<{ filled: number; buckets: number[] }[]>`
      with filled as materialized (
        select bucket from generate_series(0, ${bucketCount - 1}::int) as b (bucket)
        where exists (
          select from ${sql(table)} o where o.sink = ${sink} and o.bucket = b.bucket and o.parked_at is null)
        order by random()
      )
      select (select count(*) from filled)::int as filled, array(
        select bucket from filled where pg_try_advisory_xact_lock(hashtext(${`${table}.${sink}`}), bucket)
        limit ${maxBuckets}) as buckets`;
    return found ?? { filled: 0, buckets: [] };
  };

  return {
    isLate: (sink, afterMs) =>
      query(pool, options.claimTimeoutMs, async ({ sql }) => {
        const [found] = await sql<{ late: boolean }[]>`
          select exists (
            select from ${sql(table)} where sink = ${sink} and parked_at is null
              and created_at < clock_timestamp() - make_interval(secs => ${afterMs / 1000})) as late`;
        return found?.late ?? false;
      }),
    claim: (sink, limit, deliver) =>
      withTransaction(
        pool,
        async ({ sql }, { filled, buckets }) => {
          if (buckets.length === 0) {
            return filled > 0 ? { claimed: 0, more: false, held: true } : undefined;
          }
          const share = Math.max(1, Math.floor(limit / buckets.length));
          const stored = await sql<StoredRow[]>`
            select o.id::text as id, o.aggregate, o.topic, o.key, o.payload, o.headers, o.attempts,
              (extract(epoch from o.created_at) * 1000)::float8 as "createdAtMs"
            from unnest(${buckets}::int[]) as b (bucket)
            cross join lateral (
              select * from ${sql(table)} p
              where p.sink = ${sink} and p.bucket = b.bucket and p.parked_at is null
                and p.aggregate not in (
                  select w.aggregate from ${sql(table)} w
                  where w.sink = ${sink} and w.attempts > 0 and w.parked_at is null and w.retry_at > now())
              order by p.id limit ${share}
            ) as o
            order by o.id`;
          if (stored.length === 0) {
            return undefined;
          }
          const rows: PendingRow[] = stored.map((row) => ({ ...row, id: BigInt(row.id) }));
          const { done, faults } = await deliver(rows);
          if (done.length > 0) {
            await sql`delete from ${sql(table)} where id = any(${done.map(String)}::bigint[])`;
          }
          for (const fault of faults) {
            await sql`
              update ${sql(table)} set attempts = attempts + 1, last_error = ${fault.message},
                retry_at = clock_timestamp() + least(
                  make_interval(secs => ${options.faultBackoffMs / 1000}::float8 * 2 ^ least(attempts, 20)), interval '1 minute'),
                parked_at = case when attempts + 1 >= ${options.maxFaults}::int then clock_timestamp() end
              where id = ${String(fault.id)}::bigint`;
          }
          // Buckets that were not taken, rows beyond a bucket's share, rows that the sink left.
          const more = buckets.length < filled || rows.length >= share || done.length < rows.length;
          return { claimed: rows.length, more, held: false };
        },
        // Never again on its own: a second run would send once more.
        { deadlineMs: options.claimTimeoutMs, attempts: 1, read: ({ sql }: Tx) => takeBuckets(sql, sink) },
      ),
  };
}
