import { assertNever } from "@pricing-engine/chassis/errors";
import { engineTenant, paymentEventMessage, topicName, topics } from "@pricing-engine/contracts";
import { encodeEnvelope } from "@pricing-engine/kafka";
import type { OutboxRow } from "@pricing-engine/postgres";
import { uuidv7 } from "uuidv7";
import type { Change, Payment, PaymentEvent } from "../domain/payment.ts";

/** What an order hears of its charge; a client's payment tells nobody. */
export function toOutboxRows(prefix: string, { after, events }: Change): OutboxRow[] {
  const { orderId } = after;
  if (after.source !== "order" || orderId === null) return [];
  return events.map((event) => ({
    aggregate: orderId,
    sink: "kafka",
    topic: topicName(prefix, topics.paymentEvents),
    key: orderId,
    payload: encodeEnvelope(paymentEventMessage, {
      id: uuidv7(),
      type: "payment-event",
      version: 1,
      occurredAt: new Date().toISOString(),
      tenantId: engineTenant,
      data: dataOf(event, after, orderId),
    }).toString(),
  }));
}

function dataOf(event: PaymentEvent, payment: Payment, orderId: string) {
  const common = { correlationId: payment.id, orderId, amountMinor: payment.amountMinor };
  switch (event) {
    case "settled":
      return {
        kind: event,
        ...common,
        processor: payment.processor ?? "default",
        requestedAt: new Date(payment.requestedAtMs ?? 0).toISOString(),
      } as const;
    case "cancelled":
    case "expired":
    case "refunded":
    case "refund_manual":
      return { kind: event, ...common } as const;
    default:
      return assertNever(event);
  }
}
