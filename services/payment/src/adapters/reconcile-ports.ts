import { findPaymentAmountMinor } from "@pricing-engine/contracts";
import { type Pool, query, withTransaction } from "@pricing-engine/postgres";
import { otherProcessor, type ProcessorName, processorNames } from "../domain/processor.ts";
import { granularityMs } from "../domain/window.ts";
import {
  type OtherPayment,
  type OwnPayment,
  type ReconcilePorts,
  type Totals,
  toleranceMs,
} from "../usecases/difference.ts";
import { readPayment, readSummary } from "./payment-reader.ts";
import type { HttpProcessors } from "./processors.ts";
import { columns, type Row, toPayment, toTime } from "./rows.ts";

const deadlineMs = 60_000;
// Rows are read of so long before and after the windows: a payment rarely waits longer.
const maxWaitMs = 7 * granularityMs.day;

function toMinor(amount: number): number {
  // A processor's sum may be beyond a single payment's range, and carry the noise of its own arithmetic.
  return findPaymentAmountMinor(amount) ?? Math.round(amount * 100);
}

export function makeReconcilePorts({
  pool,
  processors,
  onSearchFailed,
}: {
  pool: Pool;
  processors: Pick<HttpProcessors, "find" | "summary">;
} & Pick<ReconcilePorts, "onSearchFailed">): ReconcilePorts {
  return {
    onSearchFailed,
    async ours(fromMs, toMs) {
      const summary = await readSummary(pool, fromMs, toMs);
      return both((name) => ({
        payments: summary[name].totalRequests,
        amountMinor: Math.round(summary[name].totalAmount * 100),
      }));
    },
    async rows(fromMs, toMs) {
      const rows = await query(
        pool,
        deadlineMs,
        ({ sql }) => sql<{ processor: ProcessorName; payments: number; amount_minor: string }[]>`
          select processor, count(*)::int as payments, sum(amount_minor)::text as amount_minor from payment.payments
          where state = 'settled' and requested_at_ms between ${fromMs} and ${toMs} group by processor`,
      );
      return both((name) => {
        const row = rows.find(({ processor }) => processor === name);
        return { payments: row?.payments ?? 0, amountMinor: Number(row?.amount_minor ?? 0) };
      });
    },
    async theirs(processor, fromMs, toMs) {
      const { totalRequests, totalAmount } = await processors.summary(processor, fromMs, toMs);
      return { payments: totalRequests, amountMinor: Math.round(totalAmount * 100) };
    },
    async list(processor, which, fromMs, toMs) {
      const rows = await query(
        pool,
        deadlineMs,
        ({ sql }) => sql<
          { correlation_id: string; source: string; state: string; amount_minor: string; requested_at_ms: string }[]
        >`
          select correlation_id, source, state, amount_minor, requested_at_ms from payment.payments
          where state in ${sql(which === "settled" ? ["settled"] : ["sending", "unknown"])}
            and processor = ${processor} and requested_at_ms between ${fromMs} and ${toMs} order by requested_at_ms`,
      );
      return rows.map(
        (row): OwnPayment => ({
          id: row.correlation_id,
          source: row.source,
          state: row.state,
          amountMinor: Number(row.amount_minor),
          requestedAtMs: Number(row.requested_at_ms),
        }),
      );
    },
    async listElsewhere(processor, { fromMs, toMs }, limit) {
      const rows = await query(
        pool,
        deadlineMs,
        ({ sql }) => sql<Row[]>`
          select ${sql.unsafe(columns)} from payment.payments
          where state = 'settled' and processor = ${otherProcessor(processor)}
            and requested_at_ms between ${fromMs} and ${toMs}
          -- One that was settled by its first attempt was never sent to this one by us.
          order by attempts <= 1, abs(requested_at_ms - ${Math.floor((fromMs + toMs) / 2)}::bigint), correlation_id limit ${limit}`,
      );
      return rows.map((row) => toOther(toPayment(row)));
    },
    async listUnderWay(processor, windows, limit) {
      const fromMs = Math.min(...windows.map((window) => window.fromMs)) - maxWaitMs;
      const toMs = Math.max(...windows.map((window) => window.toMs)) + maxWaitMs;
      const rows = await query(
        pool,
        deadlineMs,
        ({ sql }) => sql<Row[]>`
          select ${sql.unsafe(columns)} from payment.payments p
          where created_at between to_timestamp(${fromMs}::float8 / 1000) and to_timestamp(${toMs}::float8 / 1000)
            and processor is distinct from ${processor}
            and (state <> 'settled' or requested_at_ms - accepted_at_ms > ${toleranceMs})
            -- What has ended says no more when it was sent last, but never after its deadline.
            and exists (
              select from unnest(
                ${windows.map((window) => window.fromMs)}::bigint[], ${windows.map((window) => window.toMs)}::bigint[]
              ) as w (from_ms, to_ms)
              where p.accepted_at_ms <= w.to_ms and coalesce(p.requested_at_ms, p.deadline_ms, w.from_ms) >= w.from_ms)
          order by attempts = 0, accepted_at_ms desc, correlation_id limit ${limit}`,
      );
      return rows.map((row) => toOther(toPayment(row)));
    },
    async read(listed) {
      const payment = await readPayment(pool, listed, deadlineMs);
      return payment && toOther(payment);
    },
    async find(processor, id) {
      const record = await processors.find(processor, id);
      return record && { amountMinor: toMinor(record.amount), requestedAt: record.requestedAt };
    },
  };
}

function toOther({ id, source, state, processor }: OtherPayment): OtherPayment {
  return { id, source, state, processor };
}

function both(make: (name: ProcessorName) => Totals): Record<ProcessorName, Totals> {
  const [first, second] = processorNames;
  return { default: make(first), fallback: make(second) };
}

/**
 * Has the payment shown, with the problem beside those that it has already, until a person has looked; audited. A problem that it is
 * shown with changes nothing.
 */
export async function markForReview(
  pool: Pool,
  { id, source }: { id: string; source: string },
  { problem, actor }: { problem: string; actor: string },
): Promise<void> {
  await withTransaction(
    pool,
    async ({ sql }) => {
      const [found] = await sql<(Row & { review: string | null })[]>`
        select ${sql.unsafe(columns)}, review from payment.payments
        where (correlation_id, source, created_at) = (
          select correlation_id, source, created_at from payment.payment_keys
          where correlation_id = ${id} and source = ${source})
        for update`;
      if (found === undefined || `; ${found.review}; `.includes(`; ${problem}; `)) return;
      const before = { ...toPayment(found), review: found.review };
      const review = before.review === null ? problem : `${before.review}; ${problem}`;
      await sql`
        update payment.payments set review = ${review}
        where correlation_id = ${id} and source = ${source} and created_at = ${toTime(before.createdAtMs)}`;
      await sql`
        insert into payment.audit (actor, action, correlation_id, source, reason, before)
        values (${actor}, 'marked', ${id}, ${source}, ${problem}, ${JSON.stringify(before)}::text::jsonb)`;
    },
    { deadlineMs },
  );
}

/**
 * Adds the rollups of the days that the window touches up again, from the payments. Settlements wait meanwhile: each writes its
 * payment and its rollups in one statement, which locks both before it begins, so all of it is before this or after it.
 */
export async function rebuildRollups(pool: Pool, fromMs: number, toMs: number): Promise<void> {
  const firstMs = Math.floor(fromMs / granularityMs.day) * granularityMs.day;
  const endMs = (Math.floor(toMs / granularityMs.day) + 1) * granularityMs.day;
  await withTransaction(
    pool,
    async ({ sql }) => {
      await sql`lock table payment.rollups in exclusive mode`;
      await sql`delete from payment.rollups where bucket_ms >= ${firstMs} and bucket_ms < ${endMs}`;
      await sql`
        insert into payment.rollups (granularity_ms, bucket_ms, processor, shard, payments, amount_minor)
        select length_ms, requested_at_ms / length_ms * length_ms, processor, 0, count(*), sum(amount_minor)
        from payment.payments cross join unnest(${Object.values(granularityMs)}::int[]) as g (length_ms)
        where state = 'settled' and requested_at_ms >= ${firstMs} and requested_at_ms < ${endMs}
        group by 1, 2, 3`;
    },
    { deadlineMs },
  );
}
