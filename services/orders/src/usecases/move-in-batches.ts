import { type Context, context } from "@pricing-engine/chassis/telemetry";
import { type Pool, type Tx, withTransaction } from "@pricing-engine/postgres";
import type { Order, OrderRef } from "../adapters/order-rows.ts";
import { lockOrders } from "../adapters/order-store.ts";
import { isOutage } from "../adapters/outages.ts";
import { deadlineMs } from "./deadline.ts";
import { inBatches } from "./in-batches.ts";
import { type MoveDeps, moveOrders, type PlannedMove } from "./move-order.ts";
import { withTransactionSpan } from "./transaction-span.ts";

/** What is to happen to the locked order; undefined: nothing. May be asked again. */
export type Plan = (order: Order) => Omit<PlannedMove, "order" | "trace"> | undefined;

/** Resolves with the order as it was found. */
export type MoveInBatches = (ref: OrderRef, plan: Plan) => Promise<Order | undefined>;

interface Item {
  readonly ref: OrderRef;
  readonly plan: Plan;
  readonly trace: Context;
}

const maxItems = 64;

/**
 * Moves orders, several in one transaction when several are to be moved: all that belongs to the step of an order commits together
 * with it, and those of others at the same time.
 */
export function makeMoveInBatches(deps: MoveDeps & { pool: Pool; gatherMs: number }): MoveInBatches {
  const moveAll = async (
    tx: Tx,
    items: readonly Item[],
    orders: ReadonlyMap<string, Order>,
  ): Promise<(Order | undefined)[]> => {
    const planned = items.flatMap(({ ref, plan, trace }): PlannedMove[] => {
      const order = orders.get(ref.orderId);
      if (order === undefined) return [];
      const move = plan(order);
      return move === undefined ? [] : [{ ...move, order, trace }];
    });
    await moveOrders(tx, planned, deps);
    return items.map(({ ref }) => orders.get(ref.orderId));
  };
  const move = inBatches<Item, Order | undefined>({
    run(items) {
      const refs = items.map(({ ref }) => ref);
      const read = (tx: Tx) => lockOrders(tx, refs);
      return withTransaction(deps.pool, (tx, orders) => moveAll(tx, items, orders), { deadlineMs, read });
    },
    keyOf: ({ ref }) => ref.orderId,
    isOutage,
    gatherMs: deps.gatherMs,
    maxItems,
  });
  return (ref, plan) => withTransactionSpan(() => move({ ref, plan, trace: context.active() }));
}
