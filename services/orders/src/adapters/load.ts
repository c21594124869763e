import type { OrdersLoad } from "@pricing-engine/contracts";
import { type Pool, query } from "@pricing-engine/postgres";

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
