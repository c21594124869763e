import { type Pool, query } from "@pricing-engine/postgres";
import { findKeys, type KeyRef, type KnownKey, keyText } from "../adapters/idempotency-store.ts";
import type { Order, OrderRef } from "../adapters/order-rows.ts";
import { findOrderRefs, findOrders, type Line, readLines } from "../adapters/order-store.ts";
import { isOutage } from "../adapters/outages.ts";
import { deadlineMs } from "./deadline.ts";
import { inBatches } from "./in-batches.ts";

const maxItems = 64;

export type FindOrder = (ref: OrderRef) => Promise<Order | undefined>;
export type FindPaidOrder = (ref: OrderRef) => Promise<{ order: Order; lines: readonly Line[] } | undefined>;
export type FindRef = (orderId: string) => Promise<OrderRef | undefined>;
export type FindKey = (ref: KeyRef) => Promise<KnownKey | undefined>;

/** Looks up orders, several at once when several are asked for. */
export function makeFindOrder(pool: Pool, gatherMs: number): FindOrder {
  return inBatches<OrderRef, Order | undefined>({
    async run(refs) {
      const orders = await query(pool, deadlineMs, (on) => findOrders(on, refs));
      return refs.map(({ orderId }) => orders.get(orderId));
    },
    keyOf: ({ orderId }) => orderId,
    isOutage,
    gatherMs,
    maxItems,
  });
}

/** With their lines where they are paid. */
export function makeFindPaidOrder(pool: Pool, gatherMs: number): FindPaidOrder {
  return inBatches<OrderRef, { order: Order; lines: readonly Line[] } | undefined>({
    run: (refs) =>
      query(pool, deadlineMs, async (on) => {
        const orders = await findOrders(on, refs);
        const paid = [...orders.values()].filter(({ state }) => state.status === "paid");
        const lines = paid.length > 0 ? await readLines(on, paid) : new Map<string, Line[]>();
        return refs.map(({ orderId }) => {
          const order = orders.get(orderId);
          return order && { order, lines: lines.get(orderId) ?? [] };
        });
      }),
    keyOf: ({ orderId }) => orderId,
    isOutage,
    gatherMs,
    maxItems,
  });
}

export function makeFindRef(pool: Pool, gatherMs: number): FindRef {
  return inBatches<string, OrderRef | undefined>({
    async run(orderIds) {
      const refs = await query(pool, deadlineMs, (on) => findOrderRefs(on, orderIds));
      return orderIds.map((orderId) => refs.get(orderId));
    },
    keyOf: (orderId) => orderId,
    isOutage,
    gatherMs,
    maxItems,
  });
}

/** Whether a request of that key has placed an order: what each of them asks first, so here they gather. */
export function makeFindKey(pool: Pool, waits: { gatherMs: number; patienceMs: number; deadlineMs: number }): FindKey {
  return inBatches<KeyRef, KnownKey | undefined>({
    async run(refs) {
      const known = await query(pool, waits.deadlineMs, (on) => findKeys(on, refs));
      return refs.map((ref) => known.get(keyText(ref)));
    },
    isOutage,
    maxItems,
    ...waits,
  });
}
