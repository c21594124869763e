import type { Lifecycle } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { type Kafka, kafkaAccessOf, makeKafka, makeProducer, type Producer } from "@pricing-engine/kafka";
import type { Config } from "../config.ts";

/** Apart from what the api needs, which speaks to Kafka through the outbox alone. */
export function openKafka(
  name: string,
  config: Config,
  lifecycle: Lifecycle,
  logger: Logger,
): { kafka: Kafka; producer: Producer } {
  const kafka = makeKafka({ ...kafkaAccessOf(config), clientId: name, logger });
  const producer = makeProducer({ kafka });
  lifecycle.defer("kafka producer", () => producer.close());
  return { kafka, producer };
}
