import type { Logger } from "@pricing-engine/chassis/log";
import { type Context, context } from "@pricing-engine/chassis/telemetry";
import { type OutboxRow, type Pool, type Tx, withTransaction } from "@pricing-engine/postgres";
import { type Level, lockLevels, type Quantity } from "../adapters/inventory-store.ts";
import type { Order, OrderRef } from "../adapters/order-rows.ts";
import { type Line, lockOrders, readLines } from "../adapters/order-store.ts";
import { isOutage } from "../adapters/outages.ts";
import { stockRow } from "../adapters/outbox-rows.ts";
import { isNews } from "../domain/low-stock.ts";
import { deadlineMs, gatherMs } from "./deadline.ts";
import { inBatches } from "./in-batches.ts";
import { makeMoveInBatches } from "./move-in-batches.ts";
import { type MoveDeps, moveOrders, type PlannedMove } from "./move-order.ts";
import { withTransactionSpan } from "./transaction-span.ts";

export interface Attempt {
  readonly isLast: boolean;
  readonly deadLetter: (reason: string) => OutboxRow;
}

export type ReserveStock = (ref: OrderRef, attempt: Attempt) => Promise<void>;

interface Item {
  readonly ref: OrderRef;
  readonly trace: Context;
}

const maxItems = 64;

/**
 * Takes all that an order needs, or nothing. Several orders in one transaction when several are there, each after the one before it: what
 * is left is what it finds. Locks: the orders, then the products, both in the order of their ids.
 *
 * An order whose stock cannot be reserved through a fault of ours is given up with the last attempt: it has cost nobody anything yet, and
 * an end is better than a nudge for ever. Its dead letter says so to an operator.
 */
export function makeReserveStock(deps: MoveDeps & { pool: Pool; logger: Pick<Logger, "error"> }): ReserveStock {
  const { logger } = deps;
  const move = makeMoveInBatches({ ...deps, gatherMs: 0 });
  const reserve = inBatches<Item, undefined>({
    async run(items) {
      const refs = items.map(({ ref }) => ref);
      await withTransaction(deps.pool, (tx, orders) => reserveAll(tx, items, orders, deps), {
        deadlineMs,
        read: (tx: Tx) => lockOrders(tx, refs),
      });
      return items.map(() => undefined);
    },
    keyOf: ({ ref }) => ref.orderId,
    isOutage,
    gatherMs,
    maxItems,
  });
  return async (ref, { isLast, deadLetter }) => {
    try {
      await withTransactionSpan(() => reserve({ ref, trace: context.active() }));
    } catch (error) {
      if (isOutage(error) || !isLast) throw error;
      logger.error({ err: error, orderId: ref.orderId }, "the order is given up: its stock cannot be reserved");
      const event = { type: "reservation_failed", reason: "the stock cannot be reserved" } as const;
      await move(ref, () => ({ event, deadLetter }));
    }
  };
}

async function reserveAll(
  tx: Tx,
  items: readonly Item[],
  orders: ReadonlyMap<string, Order>,
  deps: MoveDeps,
): Promise<void> {
  const placed = items.flatMap(({ ref, trace }) => {
    const order = orders.get(ref.orderId);
    return order?.state.status === "placed" ? [{ order, trace }] : [];
  });
  if (placed.length === 0) return;
  const lines = await readLines(
    tx,
    placed.map(({ order }) => order),
  );
  const wanted = placed.map(({ order }) => wantedOf(lines.get(order.orderId) ?? []));
  // What the first of them begins with is what any would.
  const initial = new Map(wanted.toReversed().flatMap((each) => [...each.initial]));
  const levels = initial.size === 0 ? new Map<string, Level>() : await lockLevels(tx, initial);
  const planned = placed.map(({ order, trace }, index) => ({
    trace,
    ...context.with(trace, () => take(order, wanted[index]?.quantities ?? [], levels, deps.prefix)),
  }));
  await moveOrders(tx, planned, deps);
}

/** Takes it from the levels, when all of it is there. */
function take(
  order: Order,
  wanted: readonly Quantity[],
  levels: Map<string, Level>,
  prefix: string,
): Pick<PlannedMove, "order" | "event" | "rows" | "takes"> {
  const short = wanted.filter(({ productId, quantity }) => (levels.get(productId)?.stock ?? 0) < quantity);
  if (short.length > 0) {
    const reason = `out of stock: ${short.map(({ productId }) => productId).join(", ")}`.slice(0, 1_000);
    return { order, event: { type: "stock_rejected", reason } };
  }
  const rows = wanted.flatMap(({ productId, quantity }) => {
    const level = levels.get(productId);
    if (level === undefined) return [];
    const stock = level.stock - quantity;
    levels.set(productId, { ...level, stock });
    return isNews(level.fullStock, level.stock, stock) ? [stockRow(prefix, { productId, stock })] : [];
  });
  const takes = wanted.map((each) => ({ ...each, orderId: order.orderId }));
  return { order, event: { type: "stock_reserved" }, rows, takes };
}

/** Per product whose stock is counted: several lines may be of one. */
function wantedOf(lines: readonly Line[]): { quantities: Quantity[]; initial: Map<string, number> } {
  const initial = new Map<string, number>();
  const sums = new Map<string, number>();
  for (const { productId, quantity, initialStock } of lines) {
    if (initialStock === null) continue;
    initial.set(productId, initialStock);
    sums.set(productId, (sums.get(productId) ?? 0) + quantity);
  }
  return { initial, quantities: [...sums].map(([productId, quantity]) => ({ productId, quantity })) };
}
