import { createHash } from "node:crypto";
import { injectHeaders } from "@pricing-engine/chassis/telemetry";
import {
  engineTenant,
  type MarketEventData,
  marketEventMessage,
  type PriceChangeData,
  type RecalculationData,
  recalculationMessage,
  topicName,
  topics,
} from "@pricing-engine/contracts";
import { encodeEnvelope } from "@pricing-engine/kafka";
import type { OutboxRow } from "@pricing-engine/postgres";

/** Sinks of the relay: messages go out as they are; price rows hold many changes and are unpacked on the way. */
export const sinks = {
  kafka: "kafka",
  priceChanges: "price-changes",
  priceMarkers: "price-markers",
  policy: "policy",
} as const;

/**
 * Price changes are ordered per bucket of products, not per product: a chunk of 1,000 products then leaves some rows behind
 * instead of 1,000, and still no older price of a product can come after a newer one.
 */
const bucketCount = 16;

function bucketOf(productId: string): number {
  return createHash("sha1").update(productId).digest().readUInt8(0) % bucketCount;
}

export interface PublishedPrice extends PriceChangeData {
  readonly decisionId: string;
}

/** What publishing leaves behind: the new sequences for the cache, and the changes for whoever outside wants them. */
export function priceRows(prefix: string, changes: readonly PublishedPrice[]): OutboxRow[] {
  if (changes.length === 0) return [];
  const headers = injectHeaders({});
  const topic = topicName(prefix, topics.priceChanges);
  const rows: OutboxRow[] = [];
  for (const [bucket, part] of Map.groupBy(changes, (change) => bucketOf(change.productId))) {
    rows.push({
      aggregate: `prices:${bucket}`,
      sink: sinks.priceChanges,
      topic,
      key: null,
      payload: JSON.stringify(part),
      headers,
    });
    // Markers only ever rise, so their order means nothing; the bucket spreads them.
    rows.push({
      aggregate: `markers:${bucket}`,
      sink: sinks.priceMarkers,
      topic: sinks.priceMarkers,
      key: null,
      payload: JSON.stringify(part.map(({ productId, sequence }) => [productId, sequence])),
      headers,
    });
  }
  return rows;
}

/** One row per event, in the order of a product's events. */
export function marketEventRow(
  prefix: string,
  event: { id: string; occurredAtMs: number; data: MarketEventData },
): OutboxRow {
  const key = event.data.productId ?? event.id;
  return {
    aggregate: `event:${key}`,
    sink: sinks.kafka,
    topic: topicName(prefix, topics.marketEvents),
    key,
    payload: encodeEnvelope(marketEventMessage, {
      id: event.id,
      type: "market-event",
      version: 1,
      occurredAt: new Date(event.occurredAtMs).toISOString(),
      tenantId: engineTenant,
      data: event.data,
    }).toString(),
    headers: injectHeaders({}),
  };
}

/** The key is the chunk's: chunks of one task spread over all partitions, so over all workers. */
export function recalculationRow(prefix: string, data: RecalculationData, occurredAtMs: number): OutboxRow {
  const key = `${data.taskId}:${data.chunk}`;
  return {
    aggregate: `chunk:${key}`,
    sink: sinks.kafka,
    topic: topicName(prefix, topics.recalculations),
    key,
    payload: encodeEnvelope(recalculationMessage, {
      id: key,
      type: "recalculation",
      version: 1,
      occurredAt: new Date(occurredAtMs).toISOString(),
      tenantId: engineTenant,
      data,
    }).toString(),
    headers: injectHeaders({}),
  };
}

/** The version in force, for the cache. */
export function policyRow(version: number): OutboxRow {
  return {
    aggregate: "policy",
    sink: sinks.policy,
    topic: sinks.policy,
    key: null,
    payload: JSON.stringify(version),
    headers: injectHeaders({}),
  };
}
