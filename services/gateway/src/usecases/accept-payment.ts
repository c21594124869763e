import { AppError } from "@pricing-engine/chassis/errors";
import {
  type ChargeMessage,
  engineTenant,
  findPaymentAmountMinor,
  type PaymentRequest,
} from "@pricing-engine/contracts";
import type { Producer } from "@pricing-engine/kafka";

// Long enough for a broker to restart under what has been handed over; after that nobody else is made to wait.
const stalledMs = 10_000;

/**
 * Hands a payment to Kafka. Resolves once all in-sync replicas have it. Rejects with AppError `kafka_unavailable` when it
 * certainly was not written, so that the client may be told so, and with `publish_unknown` when it may have been: then
 * nothing true can be said, and the connection is dropped.
 */
export type AcceptPayment = (request: PaymentRequest, trace?: Record<string, string>) => Promise<void>;

export function makeAcceptPayment(deps: {
  producer: Pick<Producer, "send">;
  topic: string;
  /** Sortable, unique. */
  newId: () => string;
  nowMs: () => number;
  /** Monotonic clock, milliseconds. */
  monotonicMs: () => number;
}): AcceptPayment {
  const { producer, topic, newId, nowMs, monotonicMs } = deps;
  let waiting = 0;
  /** When Kafka last took something, or had nothing to take. */
  let progressMs = monotonicMs();
  let failing = false;

  return async ({ correlationId, amount }, trace) => {
    const amountMinor = findPaymentAmountMinor(amount);
    if (amountMinor === undefined) throw new AppError("internal", { context: { amount } });
    if (waiting === 0 && !failing) progressMs = monotonicMs();
    // One is let through to find out whether Kafka is back.
    if (waiting > 0 && monotonicMs() - progressMs > stalledMs) {
      throw new AppError("kafka_unavailable", { context: { topic, waiting }, retryAfterSeconds: 1 });
    }
    const message: ChargeMessage = {
      id: newId(),
      type: "payment-charge",
      version: 1,
      occurredAt: new Date(nowMs()).toISOString(),
      tenantId: engineTenant,
      data: { source: "api", correlationId, amountMinor },
    };
    waiting += 1;
    try {
      await producer.send({
        topic,
        key: correlationId,
        value: JSON.stringify(message),
        ...(trace === undefined ? {} : { headers: trace }),
      });
      failing = false;
      progressMs = monotonicMs();
    } catch (error) {
      failing = true;
      throw error;
    } finally {
      waiting -= 1;
    }
  };
}
