import { type Pool, type Tx, withTransaction } from "@pricing-engine/postgres";
import { type Level, lockLevels, type Quantity, reserve } from "../adapters/inventory-store.ts";
import type { Order, OrderRef } from "../adapters/order-rows.ts";
import { type Line, lockOrder, readLines } from "../adapters/order-store.ts";
import { stockRow } from "../adapters/outbox-rows.ts";
import { isNews } from "../domain/low-stock.ts";
import { deadlineMs } from "./deadline.ts";
import { type MoveDeps, moveOrder } from "./move-order.ts";

export type ReserveStock = (ref: OrderRef) => Promise<void>;

/** Takes all that an order needs, or nothing. Locks: the order, then the products in the order of their ids. */
export function makeReserveStock(deps: MoveDeps & { pool: Pool }): ReserveStock {
  return (ref) =>
    withTransaction(
      deps.pool,
      async (tx) => {
        const order = await lockOrder(tx, ref);
        if (order?.state.status === "placed") await take(tx, order, deps);
      },
      { deadlineMs },
    );
}

async function take(tx: Tx, order: Order, deps: MoveDeps): Promise<void> {
  const { wanted, initial } = wantedOf(await readLines(tx, order));
  const levels = initial.size === 0 ? new Map<string, Level>() : await lockLevels(tx, initial);
  const short = wanted.filter(({ productId, quantity }) => (levels.get(productId)?.stock ?? 0) < quantity);
  if (short.length > 0) {
    const reason = `out of stock: ${short.map(({ productId }) => productId).join(", ")}`.slice(0, 1_000);
    await moveOrder(tx, order, { type: "stock_rejected", reason }, deps);
    return;
  }
  const rows = wanted.flatMap(({ productId, quantity }) => {
    const level = levels.get(productId);
    if (level === undefined || !isNews(level.fullStock, level.stock, level.stock - quantity)) return [];
    return [stockRow(deps.prefix, { productId, stock: level.stock - quantity })];
  });
  // One trip: other orders of the same products wait until the commit.
  await Promise.all([
    wanted.length > 0 ? reserve(tx, order.orderId, wanted) : undefined,
    moveOrder(tx, order, { type: "stock_reserved" }, deps, { rows }),
  ]);
}

/** Per product whose stock is counted: several lines may be of one. */
function wantedOf(lines: readonly Line[]): { wanted: Quantity[]; initial: Map<string, number> } {
  const initial = new Map<string, number>();
  const sums = new Map<string, number>();
  for (const { productId, quantity, initialStock } of lines) {
    if (initialStock === null) continue;
    initial.set(productId, initialStock);
    sums.set(productId, (sums.get(productId) ?? 0) + quantity);
  }
  return { initial, wanted: [...sums].map(([productId, quantity]) => ({ productId, quantity })) };
}
