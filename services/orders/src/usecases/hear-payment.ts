import { assertNever } from "@pricing-engine/chassis/errors";
import type { PaymentEventData } from "@pricing-engine/contracts";
import type { Pool } from "@pricing-engine/postgres";
import type { OrderEvent } from "../domain/saga.ts";
import { gatherMs } from "./deadline.ts";
import { makeFindRef } from "./find-in-batches.ts";
import { makeMoveInBatches } from "./move-in-batches.ts";
import type { MoveDeps } from "./move-order.ts";

export type HearPayment = (data: PaymentEventData) => Promise<void>;

/** How a charge went. What is about another charge than the order's own changes nothing. */
export function makeHearPayment(deps: MoveDeps & { pool: Pool }): HearPayment {
  const findRef = makeFindRef(deps.pool, gatherMs);
  const move = makeMoveInBatches({ ...deps, gatherMs: 0 });
  return async (data) => {
    const ref = await findRef(data.orderId);
    if (ref === undefined) return;
    await move(ref, (order) => (order.paymentId === data.correlationId ? { event: toEvent(data) } : undefined));
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
