import type { Sql } from "@pricing-engine/postgres";

type On = { readonly sql: Sql };

// What lies beside an order and not in its month. Ids of orders sort by time.
const besideOrders = ["order_keys", "reservations", "receipts"] as const;

/** Forgets a bite of what belongs to orders whose month has been taken away; resolves with how many rows. */
export async function pruneHistory({ sql }: On, limit: number): Promise<number> {
  let pruned = 0;
  for (const table of besideOrders) {
    const rows = await sql`
      delete from orders.${sql(table)} where ctid = any(array(
        select ctid from orders.${sql(table)} where order_id < (select min(order_id) from orders.orders)
        order by order_id limit ${limit} for update skip locked))`;
    pruned += rows.count;
  }
  return pruned;
}
