import type { PaymentResponse, PaymentsSummaryResponse } from "@pricing-engine/contracts";
import { toPaymentAmount } from "@pricing-engine/contracts";
import { isLockTimeout, type Pool, query, withTransaction } from "@pricing-engine/postgres";
import type { Payment, PaymentKey } from "../domain/payment.ts";
import { granularityMs, splitWindow } from "../domain/window.ts";
import { columns, type Row, toPayment, toTime } from "./rows.ts";

const deadlineMs = 5_000;
// A whole number of days, the last that JavaScript knows.
const endOfTimeMs = granularityMs.day * 100_000_000;

/** The row as it is now. */
export async function readPayment(
  pool: Pool,
  { source, id }: PaymentKey,
  deadlineMs: number,
): Promise<Payment | undefined> {
  const rows = await query(
    pool,
    deadlineMs,
    ({ sql }) => sql<Row[]>`
      select ${sql.unsafe(columns)} from payment.payments
      where (correlation_id, source, created_at) = (
        select correlation_id, source, created_at from payment.payment_keys
        where correlation_id = ${id} and source = ${source})`,
  );
  return rows.map(toPayment)[0];
}

/** One statement: what settles while it runs is in all of it or in none. Bounds inclusive; undefined: open. */
export async function readSummary(
  pool: Pool,
  fromMs: number | undefined,
  toMs: number | undefined,
): Promise<PaymentsSummaryResponse> {
  const { buckets, edges } = splitWindow(
    Math.max(fromMs ?? 0, 0),
    toMs === undefined ? endOfTimeMs - 1 : Math.min(toMs, endOfTimeMs - 1),
  );
  const [first = { fromMs: 0, toMs: 0 }, second = { fromMs: 0, toMs: 0 }] = edges;
  const rows = await query(
    pool,
    deadlineMs,
    ({ sql }) => sql<{ processor: "default" | "fallback"; payments: string; amount_minor: string }[]>`
      select processor, sum(payments) as payments, sum(amount_minor) as amount_minor from (
        select r.processor, r.payments, r.amount_minor
        from unnest(
          ${buckets.map(({ granularity }) => granularityMs[granularity])}::int[],
          ${buckets.map((span) => span.fromMs)}::bigint[], ${buckets.map((span) => span.toMs)}::bigint[]
        ) as span (granularity_ms, from_ms, to_ms)
        -- One range of the index for each span: as a plain join, Postgres may read all rollups and hash them.
        cross join lateral (
          select processor, sum(payments) as payments, sum(amount_minor) as amount_minor from payment.rollups
          where granularity_ms = span.granularity_ms and bucket_ms >= span.from_ms and bucket_ms < span.to_ms
          group by processor offset 0
        ) as r
        union all
        select processor, 1, amount_minor from payment.payments
        where state = 'settled' and requested_at_ms >= ${first.fromMs} and requested_at_ms < ${first.toMs}
        union all
        select processor, 1, amount_minor from payment.payments
        where state = 'settled' and requested_at_ms >= ${second.fromMs} and requested_at_ms < ${second.toMs}
      ) as parts group by processor`,
  );
  const summary = {
    default: { totalRequests: 0, totalAmount: 0 },
    fallback: { totalRequests: 0, totalAmount: 0 },
  };
  for (const { processor, payments, amount_minor } of rows) {
    summary[processor] = { totalRequests: Number(payments), totalAmount: toPaymentAmount(Number(amount_minor)) };
  }
  return summary;
}

type StateRow = Row & { settled_at_ms: string | null; review: string | null; conflict_amount_minor: string | null };

/** A client's payment before an order's charge of the same id. */
export async function findPayment(pool: Pool, id: string): Promise<PaymentResponse | undefined> {
  const [row] = await query(
    pool,
    deadlineMs,
    ({ sql }) => sql<StateRow[]>`
      select p.*, k.conflict_amount_minor from payment.payment_keys k
      cross join lateral (
        select ${sql.unsafe(columns)}, (extract(epoch from settled_at) * 1000)::bigint as settled_at_ms, review from payment.payments
        where correlation_id = k.correlation_id and source = k.source and created_at = k.created_at offset 0
      ) as p
      where k.correlation_id = ${id} order by k.source limit 1`,
  );
  return row && describe(toPayment(row), row);
}

function describe(payment: Payment, row: StateRow): PaymentResponse {
  const { id, source, amountMinor, state, processor, requestedAtMs, attempts, createdAtMs, refund } = payment;
  return {
    correlationId: id,
    source,
    amount: toPaymentAmount(amountMinor),
    state,
    ...(processor !== null && { processor }),
    ...(requestedAtMs !== null && { requestedAt: toTime(requestedAtMs) }),
    attempts,
    createdAt: toTime(createdAtMs),
    ...(row.settled_at_ms !== null && { settledAt: toTime(Number(row.settled_at_ms)) }),
    ...(refund !== null && { refund }),
    ...(row.conflict_amount_minor !== null && {
      conflict: { amount: toPaymentAmount(Number(row.conflict_amount_minor)) },
    }),
    ...(row.review !== null && { review: row.review }),
  };
}

export type ForReview = Pick<Payment, "id" | "source" | "orderId" | "amountMinor" | "processor"> & { reason: string };

/** Refunds that their processor cannot make, and payments that are not as their processor has them; oldest first. */
export async function listForReview(pool: Pool): Promise<ForReview[]> {
  const rows = await query(
    pool,
    deadlineMs,
    ({ sql }) => sql<(Row & { review: string | null })[]>`
      select ${sql.unsafe(columns)}, review from payment.payments
      where refund = 'manual_review' or review is not null order by created_at`,
  );
  return rows.map((row) => {
    const { id, source, orderId, amountMinor, processor, refund } = toPayment(row);
    const byHand = refund === "manual_review" ? "refund it by hand, the processor has no refunds" : undefined;
    const reason = [byHand, row.review].filter((part) => part != null).join("; ");
    return { id, source, orderId, amountMinor, processor, reason };
  });
}

const forgetAttempts = 20;

/**
 * Forgets payments and rollups. Epochs stay: who has a partition keeps it, and what is in the air finds no row. Readers and writers
 * take these tables in more than one order, so it gives way before a deadlock would be broken at somebody's cost, and tries again.
 */
export async function purgePayments(pool: Pool): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await withTransaction(
        pool,
        async ({ sql }) => {
          await sql`set local lock_timeout = '250ms'`;
          await sql`truncate payment.payment_keys, payment.payments, payment.rollups`;
        },
        { deadlineMs: 30_000 },
      );
      return;
    } catch (error) {
      if (!isLockTimeout(error) || attempt >= forgetAttempts) throw error;
    }
  }
}
