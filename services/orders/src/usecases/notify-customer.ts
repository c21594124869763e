import { AppError } from "@pricing-engine/chassis/errors";
import { formatMinor } from "@pricing-engine/money";
import { type OutboxRow, type Pool, query, withTransaction } from "@pricing-engine/postgres";
import { timeToNotified } from "../adapters/metrics.ts";
import type { Notifier } from "../adapters/notifier.ts";
import type { Order, OrderRef } from "../adapters/order-rows.ts";
import { findOrder, lockOrder } from "../adapters/order-store.ts";
import type { OrderEvent } from "../domain/saga.ts";
import { deadlineMs } from "./deadline.ts";
import { type MoveDeps, moveOrder } from "./move-order.ts";

export type NotifyCustomer = (
  ref: OrderRef,
  attempt: { readonly isLast: boolean; readonly deadLetter: (reason: string) => OutboxRow },
) => Promise<void>;

/**
 * Tells of a fulfilled order, at least once: the receiver knows a repeat by its id. What cannot be delivered leaves the order
 * fulfilled, its notification failed, and a dead letter whose replay delivers it after all.
 *
 * @throws AppError `notification_failed` while there are attempts left
 */
export function makeNotifyCustomer(deps: MoveDeps & { pool: Pool; notifier: Notifier }): NotifyCustomer {
  const { pool, notifier } = deps;

  const move = async (
    ref: OrderRef,
    event: OrderEvent,
    extras: { deadLetter?: (reason: string) => OutboxRow } = {},
  ): Promise<void> => {
    await withTransaction(
      pool,
      async (tx) => {
        const order = await lockOrder(tx, ref);
        if (order !== undefined) await moveOrder(tx, order, event, deps, extras);
      },
      { deadlineMs },
    );
  };

  return async (ref, { isLast, deadLetter }) => {
    const order = await query(pool, deadlineMs, (on) => findOrder(on, ref));
    if (order?.state.status !== "fulfilled") return;
    const delivery = await notifier.notify(notificationOf(order));
    if (delivery.kind === "failed") {
      if (!isLast) throw new AppError("notification_failed", { detail: delivery.reason });
      await move(ref, { type: "notification_failed", reason: delivery.reason }, { deadLetter });
      return;
    }
    await move(ref, { type: "notification_sent" });
    timeToNotified.observe((Date.now() - Date.parse(order.createdAt)) / 1000);
  };
}

function notificationOf(order: Order) {
  return {
    id: order.orderId,
    type: "order.fulfilled" as const,
    timestamp: order.updatedAt,
    data: {
      order_id: order.orderId,
      tenant_id: order.tenantId,
      customer_id: order.customerId,
      total: formatMinor(order.totalMinor, order.currency),
      currency: order.currency,
      placed_at: order.createdAt,
    },
  };
}
