import { assertNever } from "@pricing-engine/chassis/errors";
import type { PaymentEventData } from "@pricing-engine/contracts";
import { type Pool, query, withTransaction } from "@pricing-engine/postgres";
import { findOrderRef, lockOrder } from "../adapters/order-store.ts";
import type { OrderEvent } from "../domain/saga.ts";
import { deadlineMs } from "./deadline.ts";
import { type MoveDeps, moveOrder } from "./move-order.ts";

export type HearPayment = (data: PaymentEventData) => Promise<void>;

/** How a charge went. What is about another charge than the order's own changes nothing. */
export function makeHearPayment(deps: MoveDeps & { pool: Pool }): HearPayment {
  const { pool } = deps;
  return async (data) => {
    const ref = await query(pool, deadlineMs, (on) => findOrderRef(on, data.orderId));
    if (ref === undefined) return;
    await withTransaction(
      pool,
      async (tx) => {
        const order = await lockOrder(tx, ref);
        if (order?.paymentId === data.correlationId) await moveOrder(tx, order, toEvent(data), deps);
      },
      { deadlineMs },
    );
  };
}

function toEvent(data: PaymentEventData): OrderEvent {
  switch (data.kind) {
    case "settled":
      return { type: "charge_settled", amountMinor: data.amountMinor };
    case "cancelled":
      return { type: "charge_cancelled" };
    case "expired":
      return { type: "charge_expired" };
    case "refunded":
      return { type: "refund_done" };
    case "refund_manual":
      return { type: "refund_manual" };
    default:
      return assertNever(data);
  }
}
