import type { On } from "./on-postgres.ts";

/** What an event is checked against; undefined when there is no such product. `nowMs` is the database's clock. */
export async function findLiveProduct(
  { sql }: On,
  productId: string,
): Promise<{ currency: string; nowMs: number } | undefined> {
  const [row] = await sql<{ currency: string; now_ms: number }[]>`
    select currency, extract(epoch from clock_timestamp())::float8 * 1000 as now_ms from pricing.products
    where product_id = ${productId} and deleted_at is null`;
  return row === undefined ? undefined : { currency: row.currency, nowMs: Math.floor(row.now_ms) };
}

/** The database's clock, in ms. */
export async function readClock({ sql }: On): Promise<number> {
  const [row] = await sql<{ now_ms: number }[]>`select extract(epoch from clock_timestamp())::float8 * 1000 as now_ms`;
  if (row === undefined) throw new Error("a select without a table has one row");
  return Math.floor(row.now_ms);
}
