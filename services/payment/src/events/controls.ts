import { paymentControlMessage } from "@pricing-engine/contracts";
import { decodeEnvelope, type Message } from "@pricing-engine/kafka";
import type { Control } from "../usecases/control.ts";

/** @throws AppError `invalid_message`: it goes to the dead letters. */
export function toControl({ value, partition }: Message): Control {
  const { action, correlationId, orderId, amountMinor } = decodeEnvelope(paymentControlMessage, value).data;
  return { action, id: correlationId, orderId, amountMinor, partition };
}
