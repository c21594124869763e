import {
  type CatalogEventData,
  type CatalogEventMessage,
  engineTenant,
  topicName,
  topics,
} from "@pricing-engine/contracts";
import type { Producer } from "@pricing-engine/kafka";

/**
 * The message of an event; the same content of the same poll has the same id. It is not checked against the schema: that would
 * take as long as reading the feed (decision 0041). A test shows that the schema takes all that can be read.
 */
export function encodeEvent(data: CatalogEventData): string {
  return JSON.stringify({
    id: `${data.id}.${data.sequence}`,
    type: "catalog-event",
    version: 1,
    occurredAt: data.observedAt,
    tenantId: engineTenant,
    data,
  } satisfies CatalogEventMessage);
}

/** Publishes what `encodeEvent` made to `catalog-events`, under the id of its plan. */
export function makePublishEvent(
  producer: Producer,
  prefix: string,
): (id: string, message: string | Buffer) => Promise<void> {
  const topic = topicName(prefix, topics.catalogEvents);
  return (id, message) => producer.send({ topic, key: id, value: message });
}
