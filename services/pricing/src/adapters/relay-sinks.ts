import { engineTenant, priceChangeData, priceChangeMessage } from "@pricing-engine/contracts";
import { encodeEnvelope, type Producer } from "@pricing-engine/kafka";
import type { Sink } from "@pricing-engine/postgres";
import type { PriceCache } from "@pricing-engine/price-cache";
import { z } from "zod";
import { sinks } from "./outbox-rows.ts";
import { raiseMarks } from "./price-marks.ts";

const changes = z.array(priceChangeData);
/** As many as a chunk of a recalculation leaves behind. */
const rowsPerSend = 16;

/**
 * Where the outbox's rows go. All sinks may see a row again: messages are deduplicated by whoever reads them, and markers only rise.
 */
export function makeRelaySinks({
  producer,
  cache,
}: {
  producer: Producer;
  cache: Pick<PriceCache, "markSequences" | "setPolicyVersion">;
}): Record<(typeof sinks)[keyof typeof sinks], Sink> {
  const sendChanges = ({
    topic,
    payload,
    headers,
  }: {
    topic: string;
    payload: string;
    headers: Record<string, string>;
  }) =>
    changes.parse(JSON.parse(payload)).map((data) =>
      producer.send({
        topic,
        key: data.productId,
        headers,
        value: encodeEnvelope(priceChangeMessage, {
          id: data.decisionId,
          type: "price-change",
          version: 1,
          occurredAt: data.decidedAt,
          tenantId: engineTenant,
          data,
        }),
      }),
    );
  return {
    // One key is one partition, in which the producer keeps the order of the calls.
    [sinks.kafka]: async (rows) => {
      await Promise.all(
        rows.map(({ topic, key, payload, headers }) => producer.send({ topic, key, value: payload, headers })),
      );
    },
    // Some rows at a time, each of many records: all of them at once would be tens of megabytes.
    [sinks.priceChanges]: async (rows) => {
      for (let start = 0; start < rows.length; start += rowsPerSend) {
        await Promise.all(rows.slice(start, start + rowsPerSend).flatMap(sendChanges));
      }
    },
    [sinks.priceMarkers]: (rows) => raiseMarks(cache, rows),
    [sinks.policy]: async (rows) => {
      const versions = rows.map(({ payload }) => z.number().parse(JSON.parse(payload)));
      await cache.setPolicyVersion(Math.max(...versions));
    },
  };
}
