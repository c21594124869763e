import { createHash } from "node:crypto";
import type { Tx } from "../transaction.ts";
import { bucketCount, laneCount, outboxChannel } from "./ddl.ts";

/** What a transaction leaves behind for a sink. */
export interface OutboxRow {
  /** Rows of one aggregate reach a sink in the order in which their transactions committed. */
  aggregate: string;
  /** Which sink of the relay takes it. */
  sink: string;
  topic: string;
  key: string | null;
  payload: string;
  headers?: Record<string, string>;
}

/** The same on every version and machine: two writers of an aggregate must always meet in one lane. */
function laneOf(aggregate: string): number {
  return createHash("sha256").update(aggregate).digest().readUInt16BE(0) % laneCount;
}

/**
 * Writes rows in the caller's transaction; they are sent if and only if it commits. Append last: other writers of the
 * same lanes wait from here to the commit.
 *
 * Order: ids come from a sequence, and a sequence runs in the order of inserts, not of commits. Without more, a transaction with
 * the lower id could commit after a relay had sent, and deleted, the higher one. Only the order within an aggregate matters,
 * so the writers of an aggregate pass through a lock which they keep to the end of their transaction: who gets the
 * next id has seen the commit of whoever had the one before. (The other known way, to hold back all rows above the oldest
 * running transaction, lets one forgotten transaction anywhere in the cluster stop every relay.) The lock is per lane, not
 * per aggregate, because a chunk of thousands of aggregates would fill the server's lock table. Lanes are taken in ascending
 * order, so that appends do not deadlock; two appends in one transaction may, and are then retried.
 */
export async function appendOutbox(tx: Tx, options: { schema: string }, rows: readonly OutboxRow[]): Promise<void> {
  if (rows.length === 0) {
    return;
  }
  const lanes = rows.map((row) => laneOf(row.aggregate));
  const distinct = [...new Set(lanes)].sort((a, b) => a - b);
  const { sql } = tx;
  await sql`
    with locked as materialized (
      select pg_advisory_xact_lock(hashtext(${`${options.schema}.outbox`}), lane)
      from unnest(${distinct}::int[]) with ordinality as l (lane, position)
    )
    insert into ${sql(options.schema)}.outbox (bucket, sink, aggregate, topic, key, payload, headers)
    select lane % ${bucketCount}::int, sink, aggregate, topic, key, payload, headers::jsonb
    from (select count(*) from locked) as all_locked,
      unnest(
        ${lanes}::int[], ${rows.map((row) => row.sink)}::text[], ${rows.map((row) => row.aggregate)}::text[],
        ${rows.map((row) => row.topic)}::text[], ${rows.map((row) => row.key)}::text[],
        ${rows.map((row) => row.payload)}::text[], ${rows.map((row) => JSON.stringify(row.headers ?? {}))}::text[]
      ) with ordinality as r (lane, sink, aggregate, topic, key, payload, headers, position)
    order by position`;
  tx.notifyAfterCommit(outboxChannel(options.schema));
}
