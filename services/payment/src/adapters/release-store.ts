import { appendOutbox, type Pool, withTransaction } from "@pricing-engine/postgres";
import type { ReleaseStore } from "../usecases/release.ts";
import { toOutboxRows } from "./events.ts";
import { columns, type Row, toPayment, toTime } from "./rows.ts";

export function makeReleaseStore({ pool, prefix }: { pool: Pool; prefix: string }): ReleaseStore {
  return {
    decide: (id, source, { actor, reason }, decide) =>
      withTransaction(
        pool,
        async (tx) => {
          const { sql } = tx;
          const [found] = await sql<Row[]>`
            select ${sql.unsafe(columns)} from payment.payments
            where (correlation_id, source, created_at) = (
              select correlation_id, source, created_at from payment.payment_keys
              where correlation_id = ${id} ${source === undefined ? sql`` : sql`and source = ${source}`}
              -- A charge first: no client's payment has its id, but one from before that was so.
              order by source desc limit 1)
            for update`;
          if (found === undefined) return undefined;
          const before = toPayment(found);
          const change = decide(before);
          if (change === undefined) return before;
          const { after } = change;
          await sql`
            update payment.payments set state = ${after.state}, processor = ${after.processor},
              requested_at_ms = ${after.requestedAtMs}, pinned = ${after.pinned}, ending = ${after.ending},
              version = ${after.version}
            where correlation_id = ${id} and source = ${before.source} and created_at = ${toTime(before.createdAtMs)}`;
          await sql`
            insert into payment.audit (actor, action, correlation_id, source, reason, before)
            values (${actor}, 'release', ${id}, ${before.source}, ${reason}, ${JSON.stringify(before)}::text::jsonb)`;
          // An order that wanted it no more hears that it has ended.
          await appendOutbox(tx, { schema: "payment" }, toOutboxRows(prefix, change));
          return before;
        },
        { deadlineMs: 10_000 },
      ),
  };
}
