import { type CatalogEventData, catalogEventMessage, engineTenant, topicName, topics } from "@pricing-engine/contracts";
import { encodeEnvelope, type Producer } from "@pricing-engine/kafka";

/** Publishes to `catalog-events`. The same content of the same poll has the same id. */
export function makePublishEvent(producer: Producer, prefix: string): (event: CatalogEventData) => Promise<void> {
  const topic = topicName(prefix, topics.catalogEvents);
  return (data) =>
    producer.send({
      topic,
      key: data.id,
      value: encodeEnvelope(catalogEventMessage, {
        id: `${data.id}.${data.sequence}`,
        type: "catalog-event",
        version: 1,
        occurredAt: data.observedAt,
        tenantId: engineTenant,
        data,
      }),
    });
}
