import { type Pool, withTransaction } from "@pricing-engine/postgres";
import type { ReviewStore } from "../usecases/end-review.ts";
import { columns, type Row, toPayment, toTime } from "./rows.ts";

export function makeReviewStore({ pool }: { pool: Pool }): ReviewStore {
  return {
    decide: (id, source, { actor, reason }, decide) =>
      withTransaction(
        pool,
        async ({ sql }) => {
          const [found] = await sql<(Row & { review: string | null })[]>`
            select ${sql.unsafe(columns)}, review from payment.payments
            where (correlation_id, source, created_at) = (
              select correlation_id, source, created_at from payment.payment_keys
              where correlation_id = ${id} ${source === undefined ? sql`` : sql`and source = ${source}`}
              order by source desc limit 1)
            for update`;
          const before = found && { payment: toPayment(found), review: found.review };
          const { result, change } = decide(before);
          if (before === undefined || result.kind !== "reviewed") return result;
          const { payment, review } = before;
          const { refund, version } = change?.after ?? payment;
          await sql`
            update payment.payments set refund = ${refund}, version = ${version}, review = null
            where correlation_id = ${id} and source = ${payment.source} and created_at = ${toTime(payment.createdAtMs)}`;
          await sql`
            insert into payment.audit (actor, action, correlation_id, source, reason, before)
            values (${actor}, 'reviewed', ${id}, ${payment.source}, ${reason}, ${JSON.stringify({ ...payment, review })}::text::jsonb)`;
          return result;
        },
        { deadlineMs: 10_000 },
      ),
  };
}
