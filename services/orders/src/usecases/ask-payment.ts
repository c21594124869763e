import { assertNever } from "@pricing-engine/chassis/errors";
import type { ChargeData, PaymentControlData } from "@pricing-engine/contracts";
import type { Pool } from "@pricing-engine/postgres";
import type { Order, OrderRef } from "../adapters/order-rows.ts";
import type { OrderEvent } from "../domain/saga.ts";
import { gatherMs } from "./deadline.ts";
import { makeFindOrder } from "./find-in-batches.ts";
import { makeMoveInBatches } from "./move-in-batches.ts";
import type { MoveDeps } from "./move-order.ts";

export type ChargeCommand = "charge" | "cancel_charge" | "expire_charge" | "refund";

export interface PaymentPort {
  charge(order: Order, data: ChargeData): Promise<void>;
  control(order: Order, data: PaymentControlData): Promise<void>;
}

export type AskPayment = (ref: OrderRef, command: ChargeCommand) => Promise<void>;

/**
 * Asks the payment service for what the order wants now. Nothing is written: each ask may be repeated, and come before or after any
 * other; the payment service arbitrates by the charge's id.
 */
export function makeAskPayment(deps: MoveDeps & { pool: Pool; payment: PaymentPort }): AskPayment {
  const { pool, payment } = deps;
  const findOrder = makeFindOrder(pool, gatherMs);
  const move = makeMoveInBatches({ ...deps, gatherMs: 0 });

  // An order that costs nothing has no charge: its answers are ours.
  const answerForFree = async (ref: OrderRef, command: ChargeCommand): Promise<void> => {
    await move(ref, (order) => (wants(order, command) ? { event: freeAnswer(command) } : undefined));
  };

  return async (ref, command) => {
    const order = await findOrder(ref);
    if (order === undefined || !wants(order, command)) return;
    const { orderId, paymentId: correlationId, chargeDeadline } = order;
    const { amountMinor } = order.state;
    if (amountMinor === 0) return answerForFree(ref, command);
    const common = { correlationId, orderId, amountMinor };
    switch (command) {
      case "charge":
        return payment.charge(order, { source: "order", ...common, deadline: chargeDeadline ?? order.updatedAt });
      case "cancel_charge":
        return payment.control(order, { action: "cancel", ...common });
      case "expire_charge":
        return payment.control(order, { action: "expire", ...common });
      case "refund":
        return payment.control(order, { action: "refund", ...common });
      default:
        return assertNever(command);
    }
  };
}

/** Whether the order, as it is now, still wants what it asked for. */
function wants({ state }: Order, command: ChargeCommand): boolean {
  switch (command) {
    case "charge":
    case "expire_charge":
      return state.status === "reserved";
    case "cancel_charge":
      return state.status === "cancelling" && state.refund === "none";
    case "refund":
      return state.refund === "pending";
    default:
      return assertNever(command);
  }
}

function freeAnswer(command: ChargeCommand): OrderEvent {
  switch (command) {
    case "charge":
    case "expire_charge":
      return { type: "charge_settled", amountMinor: 0 };
    case "cancel_charge":
      return { type: "charge_cancelled" };
    case "refund":
      return { type: "refund_done" };
    default:
      return assertNever(command);
  }
}
