import type { Sql, Tx } from "@pricing-engine/postgres";

type On = { readonly sql: Sql };

export interface Level {
  readonly productId: string;
  readonly stock: number;
  readonly reserved: number;
  readonly fullStock: number;
}

interface LevelRow {
  product_id: string;
  stock: number;
  reserved: number;
  full_stock: number;
}

const columns = "product_id, stock, reserved, full_stock";

function toLevel(row: LevelRow): Level {
  return { productId: row.product_id, stock: row.stock, reserved: row.reserved, fullStock: row.full_stock };
}

export async function findLevel({ sql }: On, productId: string): Promise<Level | undefined> {
  const [row] = await sql<LevelRow[]>`
    select ${sql.unsafe(columns)} from orders.inventory where product_id = ${productId}`;
  return row && toLevel(row);
}

/** Makes the rows that are missing, with what their products began with, and locks them all, in the order of their ids. */
export async function lockLevels({ sql }: Tx, initial: ReadonlyMap<string, number>): Promise<Map<string, Level>> {
  const ids = [...initial.keys()].sort();
  await sql`
    insert into orders.inventory (product_id, stock, full_stock)
    select product_id, stock, stock
    from unnest(${ids}::text[], ${ids.map((id) => initial.get(id) ?? 0)}::int[]) as l (product_id, stock)
    where not exists (select 1 from orders.inventory i where i.product_id = l.product_id)
    order by product_id collate "C" on conflict do nothing`;
  return lock({ sql }, ids);
}

async function lock({ sql }: On, ids: readonly string[]): Promise<Map<string, Level>> {
  // By bytes, whatever the database's collation: all lockers in one order.
  const rows = await sql<LevelRow[]>`
    select ${sql.unsafe(columns)} from orders.inventory where product_id = any(${[...ids]}::text[])
    order by product_id collate "C" for update`;
  return new Map(rows.map((row) => [row.product_id, toLevel(row)]));
}

export interface Quantity {
  readonly productId: string;
  readonly quantity: number;
}

export interface Reservation extends Quantity {
  readonly orderId: string;
}

/** Takes from the stock; the caller holds the locks and has looked. The check of the table is the last word. */
export async function reserve({ sql }: Tx, reservations: readonly Reservation[]): Promise<void> {
  const orders = reservations.map(({ orderId }) => orderId);
  const ids = reservations.map(({ productId }) => productId);
  const units = reservations.map(({ quantity }) => quantity);
  await sql`
    with taken as (
      update orders.inventory i set stock = i.stock - q.quantity, reserved = i.reserved + q.quantity, updated_at = now()
      from (
        select product_id, sum(quantity)::int as quantity from unnest(${ids}::text[], ${units}::int[]) as u (product_id, quantity)
        group by product_id
      ) as q where i.product_id = q.product_id
    )
    insert into orders.reservations (order_id, product_id, quantity, state)
    select order_id, product_id, quantity, 'held'
    from unnest(${orders}::text[], ${ids}::text[], ${units}::int[]) as r (order_id, product_id, quantity)`;
}

/**
 * Ends what the orders hold: `released` goes back to the stock, `sold` is gone. Gives back the levels that rose.
 * A reservation ends once: only what is held is touched.
 */
export async function endReservations(
  { sql }: Tx,
  orderIds: readonly string[],
  as: "released" | "sold",
): Promise<Level[]> {
  // The locks in the order of all lockers; the update then goes by the newest version of each row.
  const rows = await sql<LevelRow[]>`
    with ended as (
      update orders.reservations set state = ${as} where order_id = any(${[...orderIds]}::text[]) and state = 'held'
      returning product_id, quantity
    ), sums as (
      select product_id, sum(quantity)::int as quantity from ended group by product_id
    ), locked as materialized (
      select i.product_id, s.quantity from orders.inventory i join sums s on s.product_id = i.product_id
      order by i.product_id collate "C" for update of i
    )
    update orders.inventory i set reserved = i.reserved - l.quantity,
      stock = i.stock + case when ${as === "released"} then l.quantity else 0 end, updated_at = now()
    from locked l where i.product_id = l.product_id
    returning i.product_id, i.stock, i.reserved, i.full_stock`;
  return as === "released" ? rows.map(toLevel) : [];
}

/** A new level of a row that the caller has locked. */
export async function writeStock({ sql }: Tx, productId: string, stock: number): Promise<Level> {
  const [row] = await sql<LevelRow[]>`
    update orders.inventory set stock = ${stock}, full_stock = greatest(full_stock, ${stock}::int), updated_at = now()
    where product_id = ${productId} returning ${sql.unsafe(columns)}`;
  if (row === undefined) throw new Error(`the inventory of ${productId} is not locked`);
  return toLevel(row);
}
