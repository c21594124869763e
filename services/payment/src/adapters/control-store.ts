import { appendOutbox, type Pool, withTransaction } from "@pricing-engine/postgres";
import type { ControlStore } from "../usecases/ports.ts";
import { toOutboxRows } from "./events.ts";
import { rethrowWaiting } from "./outages.ts";
import { columns, type Row, toPayment, toTime } from "./rows.ts";

/**
 * Controls are decided on the locked row, by whoever reads them. No fence: a row's version tells its owner that somebody was
 * there, and a control that comes late or twice finds nothing left to do.
 */
export function makeControlStore({ pool, prefix }: { pool: Pool; prefix: string }): ControlStore {
  return {
    async control({ source, id }, decide) {
      try {
        return await withTransaction(
          pool,
          async (tx) => {
            const { sql } = tx;
            const find = () => sql<Row[]>`
              select ${sql.unsafe(columns)} from payment.payments
              where (correlation_id, source, created_at) = (
                select correlation_id, source, created_at from payment.payment_keys
                where correlation_id = ${id} and source = ${source})
              for update`;
            let row = (await find()).map(toPayment)[0];
            let decided = decide(row);
            if (decided?.insert === true) {
              const { after } = decided.change;
              const keys = await sql`
                insert into payment.payment_keys (correlation_id, source, created_at, amount_minor)
                values (${after.id}, ${after.source}, ${toTime(after.createdAtMs)}, ${after.amountMinor})
                on conflict do nothing`;
              if (keys.count === 1) {
                await sql`
                  insert into payment.payments (correlation_id, source, created_at, topic_partition, amount_minor, order_id,
                    accepted_at_ms, state, version)
                  values (${after.id}, ${after.source}, ${toTime(after.createdAtMs)}, ${after.partition}, ${after.amountMinor},
                    ${after.orderId}, ${after.acceptedAtMs}, ${after.state}, ${after.version})`;
              } else {
                // The charge came between the look and the key; its transaction is over, since the key waited for it.
                row = (await find()).map(toPayment)[0];
                decided = row === undefined ? undefined : decide(row);
              }
            }
            if (decided === undefined) return [];
            const { after, events } = decided.change;
            if (!decided.insert && row !== undefined && after.version !== row.version) {
              await sql`
                update payment.payments set state = ${after.state}, processor = ${after.processor},
                  requested_at_ms = ${after.requestedAtMs}, pinned = ${after.pinned}, version = ${after.version},
                  ending = ${after.ending}, refund = ${after.refund}
                where correlation_id = ${after.id} and source = ${after.source} and created_at = ${toTime(after.createdAtMs)}`;
            }
            await appendOutbox(tx, { schema: "payment" }, toOutboxRows(prefix, decided.change));
            return events;
          },
          { deadlineMs: 5_000 },
        );
      } catch (error) {
        return rethrowWaiting(error);
      }
    },
  };
}
