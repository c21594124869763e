import { chargeMessage } from "@pricing-engine/contracts";
import { decodeEnvelope, type Message } from "@pricing-engine/kafka";
import type { Charge } from "../usecases/charge.ts";

/** @throws AppError `invalid_message`: it goes to the dead letters, alone. */
export function toCharge(message: Message, partition: number): Charge {
  const { data } = decodeEnvelope(chargeMessage, message.value);
  const common = {
    id: data.correlationId,
    partition,
    amountMinor: data.amountMinor,
    acceptedAtMs: message.timestampMs,
    trace: message.headers,
  };
  return data.source === "api"
    ? { ...common, source: "api", orderId: null, deadlineMs: null }
    : { ...common, source: "order", orderId: data.orderId, deadlineMs: Date.parse(data.deadline) };
}
