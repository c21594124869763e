import { type CatalogEventMessage, engineTenant, topicName, topics } from "@pricing-engine/contracts";
import type { Producer } from "@pricing-engine/kafka";
import type { ReadEvent } from "../domain/read-feed.ts";

/**
 * The message of an event; the same content of the same poll has the same id. It is not checked against the schema: that would
 * take as long as reading the feed (decision 0041). A test shows that the schema takes all that can be read.
 */
export function encodeEvent({ event, planJson }: ReadEvent): string {
  const envelope = {
    id: `${event.id}.${event.sequence}`,
    type: "catalog-event",
    version: 1,
    occurredAt: event.observedAt,
    tenantId: engineTenant,
  } as const;
  if (event.kind === "rejected" || planJson === undefined) {
    return JSON.stringify({ ...envelope, data: event } satisfies CatalogEventMessage);
  }
  const { plan: _plan, ...data } = event;
  // Without the braces that end the data and the message.
  return `${JSON.stringify({ ...envelope, data }).slice(0, -2)},"plan":${planJson}}}`;
}

/** Publishes what `encodeEvent` made to `catalog-events`, under the id of its plan. */
export function makePublishEvent(
  producer: Producer,
  prefix: string,
): (id: string, message: string | Buffer) => Promise<void> {
  const topic = topicName(prefix, topics.catalogEvents);
  return (id, message) => producer.send({ topic, key: id, value: message });
}
