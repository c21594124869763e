import { createHash } from "node:crypto";
import { appendOutbox, isConflict, type Pool, query, type Sql, withTransaction } from "@pricing-engine/postgres";
import type { Payment } from "../domain/payment.ts";
import { granularityMs } from "../domain/window.ts";
import type { Fence, Intent, IntentResult, PaymentStore, Write, WriteResult } from "../usecases/ports.ts";
import { makeBatcher } from "./batcher.ts";
import { toOutboxRows } from "./events.ts";
import { rethrowWaiting } from "./outages.ts";
import { readPayment } from "./payment-reader.ts";
import { columns, type Row, toPayment, toTime } from "./rows.ts";

const deadlineMs = 5_000;
// A statement costs Postgres and us more than a row of it.
const spacingMs = 5;
const settledSpacingMs = 20;
const shardCount = 16;
const granularities = Object.values(granularityMs);

/** How long the last statement with outcomes must be over: an order waits for its payment's, and what is to be sent holds a slot. */
export function findSpacingMs({ state, source }: Pick<Payment, "state" | "source">): number {
  return state === "settled" && source === "api" ? settledSpacingMs : spacingMs;
}

/** The payments' table. Writes of many callers go in batches of one statement each, with their fences, rollups and events. */
export function makePaymentStore({ pool, prefix, owner }: { pool: Pool; prefix: string; owner: string }): PaymentStore {
  // Workers add to rows of their own as far as there are shards enough.
  const shard = createHash("sha256").update(owner).digest().readUInt8(0) % shardCount;

  /** In a transaction where there is something to tell; one statement is one by itself. */
  const write = async <Item extends { change: Intent["change"] }, Result>(
    items: readonly Item[],
    statement: (sql: Sql, items: readonly Item[]) => Promise<Result[]>,
    isDone: (result: Result | undefined) => boolean,
  ): Promise<Result[]> => {
    const tells = items.some(({ change }) => change.after.source === "order" && change.events.length > 0);
    try {
      if (!tells) return await retryConflicts(() => query(pool, deadlineMs, ({ sql }) => statement(sql, items)));
      return await withTransaction(
        pool,
        async (tx) => {
          const results = await statement(tx.sql, items);
          const told = items.filter((_item, index) => isDone(results[index]));
          await appendOutbox(
            tx,
            { schema: "payment" },
            told.flatMap(({ change }) => toOutboxRows(prefix, change)),
          );
          return results;
        },
        { deadlineMs },
      );
    } catch (error) {
      return rethrowWaiting(error);
    }
  };

  const insert = makeBatcher<Intent, IntentResult>({
    maxItems: 500,
    concurrency: 2,
    spacingMs: () => spacingMs,
    run: (intents) => write(intents, insertStatement, (result) => result === "inserted"),
  });
  // One at a time: two of one worker would wait for each other's rollups.
  const apply = makeBatcher<Write, WriteResult>({
    maxItems: 500,
    concurrency: 1,
    spacingMs: ({ change }) => findSpacingMs(change.after),
    run: (writes) =>
      write(
        writes,
        (sql, items) => applyStatement(sql, items, shard),
        (result) => result === "applied",
      ),
  });

  return {
    insert,
    apply,
    async claim(partitions, claimant) {
      const sorted = [...partitions].sort((a, b) => a - b);
      const rows = await query(
        pool,
        deadlineMs,
        ({ sql }) => sql<{ topic_partition: number; epoch: string }[]>`
          insert into payment.partition_owners as o (topic_partition, owner, epoch)
          select partition, ${claimant}, 1 from unnest(${sorted}::int[]) as wanted (partition) order by partition
          on conflict (topic_partition) do update set
            owner = excluded.owner,
            epoch = o.epoch + (o.owner <> excluded.owner)::int,
            taken_at = case when o.owner <> excluded.owner then now() else o.taken_at end
          returning topic_partition, epoch`,
      );
      return rows.map(({ topic_partition, epoch }) => ({
        partition: topic_partition,
        owner: claimant,
        epoch: Number(epoch),
      }));
    },
    find: (key) => readPayment(pool, key, deadlineMs),
    async findOpen(partitions, states, limit, processor) {
      const found: Payment[] = [];
      for (const state of states) {
        // The state as text of the statement: only then does the planner see that the index of open rows holds them all.
        const rows = await query(
          pool,
          deadlineMs,
          ({ sql }) => sql<Row[]>`
            select ${sql.unsafe(columns)} from payment.payments
            where state = ${sql.unsafe(`'${state}'`)} and topic_partition = any(${[...partitions]}::int[])
              ${processor === undefined ? sql`` : sql`and processor = ${processor}`}
            order by attempts limit ${limit}`,
        );
        found.push(...rows.map(toPayment));
      }
      return found;
    },
    async findRefunds(partitions, limit) {
      const rows = await query(
        pool,
        deadlineMs,
        ({ sql }) => sql<Row[]>`
          select ${sql.unsafe(columns)} from payment.payments
          where refund = 'requested' and state = 'settled' and topic_partition = any(${[...partitions]}::int[])
          -- Those that fail again and again must not keep the others out.
          order by random() limit ${limit}`,
      );
      return rows.map(toPayment);
    },
  };
}

/** The partitions whose owner is who he thinks: locked to the end of the statement, so that nobody takes them over meanwhile. */
function fenceClause(sql: Sql, fences: readonly Fence[]) {
  const distinct = new Map(fences.map((fence) => [`${fence.partition}/${fence.epoch}/${fence.owner}`, fence]));
  const sorted = [...distinct.values()].sort((a, b) => a.partition - b.partition);
  return sql`
    fence as materialized (
      select o.topic_partition, o.epoch from payment.partition_owners o
      join unnest(
        ${sorted.map(({ partition }) => partition)}::int[], ${sorted.map(({ epoch }) => epoch)}::bigint[],
        ${sorted.map(({ owner }) => owner)}::text[]
      ) as shown (topic_partition, epoch, owner) using (topic_partition, epoch, owner)
      order by o.topic_partition for share of o)`;
}

async function insertStatement(sql: Sql, intents: readonly Intent[]): Promise<IntentResult[]> {
  const rows = intents.map(({ change }) => change.after);
  const fences = intents.map(({ fence }) => fence);
  const written = await sql<{ n: string; inserted: boolean }[]>`
    with ${fenceClause(sql, fences)},
    input as materialized (
      select i.* from unnest(
        ${rows.map(({ id }) => id)}::uuid[], ${rows.map(({ source }) => source)}::text[],
        ${rows.map(({ createdAtMs }) => toTime(createdAtMs))}::text[]::timestamptz[], ${rows.map(({ partition }) => partition)}::int[],
        ${fences.map(({ epoch }) => epoch)}::bigint[], ${rows.map(({ amountMinor }) => amountMinor)}::bigint[],
        ${rows.map(({ orderId }) => orderId)}::text[], ${rows.map((row) => row.deadlineMs)}::bigint[],
        ${rows.map(({ acceptedAtMs }) => acceptedAtMs)}::bigint[], ${rows.map(({ state }) => state)}::text[],
        ${rows.map(({ processor }) => processor)}::text[], ${rows.map(({ requestedAtMs }) => requestedAtMs)}::bigint[],
        ${rows.map(({ attempts }) => attempts)}::int[], ${rows.map(({ version }) => version)}::int[]
      ) with ordinality as i (correlation_id, source, created_at, topic_partition, epoch, amount_minor, order_id, deadline_ms,
        accepted_at_ms, state, processor, requested_at_ms, attempts, version, n)
      join fence using (topic_partition, epoch)),
    keys as (
      insert into payment.payment_keys (correlation_id, source, created_at, amount_minor)
      select correlation_id, source, created_at, amount_minor from input i
      -- The processor would take an order's charge for this payment, and this one for the charge.
      where source = 'order' or not exists (
        select from payment.payment_keys k where k.correlation_id = i.correlation_id and k.source = 'order')
      order by correlation_id, source, n
      on conflict do nothing
      returning correlation_id, source, created_at),
    -- Of two intents with one key in one statement, the first.
    chosen as materialized (
      select distinct on (i.correlation_id, i.source) i.* from input i join keys k using (correlation_id, source)
      order by i.correlation_id, i.source, i.n),
    payments as (
      insert into payment.payments (correlation_id, source, created_at, topic_partition, amount_minor, order_id, deadline_ms,
        accepted_at_ms, state, processor, requested_at_ms, attempts, version)
      select correlation_id, source, created_at, topic_partition, amount_minor, order_id, deadline_ms,
        accepted_at_ms, state, processor, requested_at_ms, attempts, version
      from chosen)
    select input.n, chosen.n is not null as inserted from input left join chosen using (n)`;
  const results: IntentResult[] = intents.map(() => "fenced");
  for (const { n, inserted } of written) results[Number(n) - 1] = inserted ? "inserted" : "known";
  const known = rows.filter((_row, index) => results[index] === "known");
  if (known.length > 0) {
    await sql`
      update payment.payment_keys k set conflict_amount_minor = i.amount_minor
      from unnest(
        ${known.map(({ id }) => id)}::uuid[], ${known.map(({ source }) => source)}::text[],
        ${known.map(({ amountMinor }) => amountMinor)}::bigint[]
      ) as i (correlation_id, source, amount_minor)
      where k.correlation_id = i.correlation_id and (k.source = i.source or k.source = 'order')
        and k.amount_minor <> i.amount_minor and k.conflict_amount_minor is null`;
  }
  return results;
}

async function applyStatement(sql: Sql, writes: readonly Write[], shard: number): Promise<WriteResult[]> {
  const rows = writes.map(({ change }) => change.after);
  const fences = writes.map(({ fence }) => fence);
  // As integers: the driver takes an array of booleans for one of them.
  const settles = writes.map(({ before, change }) =>
    Number(change.after.state === "settled" && before.state !== "settled"),
  );
  const written = await sql<{ n: string; applied: boolean }[]>`
    with ${fenceClause(sql, fences)},
    input as materialized (
      select i.* from unnest(
        ${rows.map(({ id }) => id)}::uuid[], ${rows.map(({ source }) => source)}::text[],
        ${rows.map(({ createdAtMs }) => toTime(createdAtMs))}::text[]::timestamptz[],
        ${fences.map(({ partition }) => partition)}::int[], ${fences.map(({ epoch }) => epoch)}::bigint[],
        ${writes.map(({ before }) => before.version)}::int[], ${rows.map(({ version }) => version)}::int[],
        ${rows.map(({ state }) => state)}::text[], ${rows.map(({ processor }) => processor)}::text[],
        ${rows.map(({ requestedAtMs }) => requestedAtMs)}::bigint[], ${rows.map(({ pinned }) => Number(pinned))}::int[]::boolean[],
        ${rows.map(({ attempts }) => attempts)}::int[], ${rows.map(({ ending }) => ending)}::text[],
        ${rows.map(({ refund }) => refund)}::text[], ${settles}::int[]::boolean[]
      ) with ordinality as i (correlation_id, source, created_at, topic_partition, epoch, known_version, version, state, processor,
        requested_at_ms, pinned, attempts, ending, refund, settles, n)
      join fence using (topic_partition, epoch)),
    changed as (
      update payment.payments p set
        state = i.state, processor = i.processor, requested_at_ms = i.requested_at_ms, pinned = i.pinned,
        attempts = i.attempts, version = i.version, ending = i.ending, refund = i.refund,
        settled_at = case when i.settles then now() else p.settled_at end
      from input i
      where p.correlation_id = i.correlation_id and p.source = i.source and p.created_at = i.created_at
        and p.version = i.known_version
      returning i.n, i.settles, i.processor, i.requested_at_ms, p.amount_minor),
    rollups as (
      insert into payment.rollups as r (granularity_ms, bucket_ms, processor, shard, payments, amount_minor)
      select length_ms, requested_at_ms / length_ms * length_ms as bucket_ms, processor, ${shard}::smallint, count(*),
        sum(amount_minor)
      from changed cross join unnest(${granularities}::int[]) as g (length_ms)
      where settles group by 1, 2, 3 order by 1, 2, 3
      on conflict (granularity_ms, bucket_ms, processor, shard) do update set
        payments = r.payments + excluded.payments, amount_minor = r.amount_minor + excluded.amount_minor)
    select i.n, c.n is not null as applied from input i left join changed c using (n)`;
  const results: WriteResult[] = writes.map(() => "fenced");
  for (const { n, applied } of written) results[Number(n) - 1] = applied ? "applied" : "stale";
  return results;
}

const conflictAttempts = 5;

/** A deadlock or a serialization failure wrote nothing: the same statement may run again. */
async function retryConflicts<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      if (!isConflict(error) || attempt >= conflictAttempts) throw error;
    }
  }
}
