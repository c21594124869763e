import { AppError } from "@pricing-engine/chassis/errors";
import {
  type OrderCommandData,
  orderCommandMessage,
  type PaymentEventData,
  paymentEventMessage,
} from "@pricing-engine/contracts";
import { decodeEnvelope, type Message, makeDeadLetter } from "@pricing-engine/kafka";
import type { OutboxRow } from "@pricing-engine/postgres";
import { sink } from "../adapters/outbox-rows.ts";

type Action = OrderCommandData["action"];

/** What an order wants of a stage. @throws AppError `invalid_message`: also when it wants it of another stage */
export function toCommand<Expected extends Action>(
  message: Message,
  ...expected: readonly Expected[]
): { id: string; action: Expected; ref: { orderId: string; createdAt: string } } {
  const { id, data } = decodeEnvelope(orderCommandMessage, message.value);
  const { orderId, createdAt } = data;
  const action = expected.find((one) => one === data.action);
  if (action === undefined) throw new AppError("invalid_message", { detail: `"${data.action}" is not for this stage` });
  return { id, action, ref: { orderId, createdAt } };
}

export function toPaymentEvent(message: Message): PaymentEventData {
  return decodeEnvelope(paymentEventMessage, message.value).data;
}

/** The message's dead letter, as a row that commits with what was decided about its order. */
export function deadLetterRow(
  message: Message,
  about: { groupId: string; code: "receipt_refused" | "notification_failed" | "internal"; reason: string },
): OutboxRow {
  const letter = makeDeadLetter(message, { ...about, attempts: message.attempt, nowMs: Date.now() });
  return { ...letter, aggregate: message.key ?? letter.topic, sink };
}
