import type { OrdersLoad } from "@pricing-engine/contracts";
import { type Pool, query, type Sql } from "@pricing-engine/postgres";
import type { OrderState } from "../domain/saga.ts";

/** More than any limit that somebody sets: counting on costs and tells nothing new. */
const enough = 100_000;

/** What the service has taken and not finished, by indexes alone. */
export async function readLoad(pool: Pool): Promise<OrdersLoad> {
  const [row] = await query(
    pool,
    2_000,
    ({ sql }) => sql<OrdersLoad[]>`
      select
        (select count(*)::int from (select 1 from orders.outbox where parked_at is null limit ${enough}) u) as "unsentOutbox",
        (select count(*)::int from (
          select 1 from orders.orders where status in ('reserved', 'cancelling') limit ${enough}) c) as "unfinishedCharges"`,
  );
  return row ?? { unsentOutbox: 0, unfinishedCharges: 0 };
}

/** Orders on their way that have not moved for so long, by status: the sweeper has asked again, and it was of no use. */
export async function countStuck(
  { sql }: { readonly sql: Sql },
  olderThanMs: number,
): Promise<{ status: OrderState["status"]; count: number }[]> {
  return await sql<{ status: OrderState["status"]; count: number }[]>`
    select status, count(*)::int as count from orders.orders
    where overdue_at is not null and updated_at < now() - make_interval(secs => ${olderThanMs / 1000}) group by status`;
}
