import { AppError } from "@pricing-engine/chassis/errors";
import { formatMinor } from "@pricing-engine/money";
import type { OutboxRow, Pool } from "@pricing-engine/postgres";
import { timeToNotified } from "../adapters/metrics.ts";
import type { Notifier } from "../adapters/notifier.ts";
import type { Order, OrderRef } from "../adapters/order-rows.ts";
import { gatherMs } from "./deadline.ts";
import { makeFindOrder } from "./find-in-batches.ts";
import { makeMoveInBatches } from "./move-in-batches.ts";
import type { MoveDeps } from "./move-order.ts";

export type NotifyCustomer = (
  ref: OrderRef,
  attempt: { readonly isLast: boolean; readonly deadLetter: (reason: string) => OutboxRow },
) => Promise<void>;

/**
 * Tells of a fulfilled order, at least once: the receiver knows a repeat by its id. What cannot be delivered leaves the order
 * fulfilled, its notification failed, and a dead letter whose replay delivers it after all. A replay that fails too changes nothing of
 * the order: it is given up as any other message, and has its letter again.
 *
 * @throws AppError `notification_failed` while there are attempts left, and for good when the order has failed by it already
 */
export function makeNotifyCustomer(deps: MoveDeps & { pool: Pool; notifier: Notifier }): NotifyCustomer {
  const { pool, notifier } = deps;
  const findOrder = makeFindOrder(pool, gatherMs);
  const move = makeMoveInBatches({ ...deps, gatherMs: 0 });
  return async (ref, { isLast, deadLetter }) => {
    const order = await findOrder(ref);
    if (order?.state.status !== "fulfilled") return;
    const delivery = await notifier.notify(notificationOf(order));
    if (delivery.kind === "failed") {
      if (!isLast || order.state.notification === "failed")
        throw new AppError("notification_failed", { detail: delivery.reason });
      const event = { type: "notification_failed", reason: delivery.reason } as const;
      await move(ref, () => ({ event, deadLetter }));
      return;
    }
    await move(ref, () => ({ event: { type: "notification_sent" } }));
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
