import { chargeMessage, paymentControlMessage, topicName, topics } from "@pricing-engine/contracts";
import { encodeEnvelope, type Producer } from "@pricing-engine/kafka";
import { uuidv7 } from "uuidv7";
import type { PaymentPort } from "../usecases/ask-payment.ts";

/** Asks the payment service through its topics; resolves when Kafka has it. */
export function makePaymentProducer(producer: Producer, prefix: string): PaymentPort {
  const envelopeOf = (tenantId: string) => ({
    id: uuidv7(),
    version: 1 as const,
    occurredAt: new Date().toISOString(),
    tenantId,
  });
  return {
    charge: ({ tenantId }, data) =>
      producer.send({
        topic: topicName(prefix, topics.payments),
        key: data.correlationId,
        value: encodeEnvelope(chargeMessage, { ...envelopeOf(tenantId), type: "payment-charge", data }),
      }),
    control: ({ tenantId }, data) =>
      producer.send({
        topic: topicName(prefix, topics.paymentControls),
        key: data.correlationId,
        value: encodeEnvelope(paymentControlMessage, { ...envelopeOf(tenantId), type: "payment-control", data }),
      }),
  };
}
