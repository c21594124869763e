import { AppError } from "@pricing-engine/chassis/errors";
import type { Logger } from "@pricing-engine/chassis/log";
import { counter } from "@pricing-engine/chassis/metrics";
import { engineTenant, marketEventMessage, topicName, topics } from "@pricing-engine/contracts";
import { encodeEnvelope, type Producer } from "@pricing-engine/kafka";
import type { Sink } from "@pricing-engine/postgres";
import type { SearchCache } from "@pricing-engine/search-cache";
import { z } from "zod";
import { productPayload, sinks } from "./outbox-rows.ts";
import type { PricingClient } from "./pricing-client.ts";

const refused = counter({
  name: "pricing_engine_source_products_refused_total",
  help: "Products of feeds that pricing refused, by its code.",
  labels: ["code"],
});

/**
 * Where the outbox's rows go. The relay hands over the rows of one plan in their order and repeats what was not acknowledged:
 * a product is written whole, a market event is known by its id, a revision only rises. So nothing is lost and nothing
 * counts twice.
 */
export function makeRelaySinks(deps: {
  cache: Pick<SearchCache, "markRevision">;
  producer: Producer;
  /** Undefined: the engine runs no pricing. */
  pricing: PricingClient | undefined;
  prefix: string;
  logger: Pick<Logger, "warn">;
}): Record<(typeof sinks)[keyof typeof sinks], Sink> {
  const { cache, producer, pricing, prefix, logger } = deps;
  const marketEvents = topicName(prefix, topics.marketEvents);
  return {
    [sinks.revision]: async (rows) => {
      await cache.markRevision(Math.max(...rows.map(({ payload }) => z.number().parse(JSON.parse(payload)))));
    },
    [sinks.products]: async (rows, { signal }) => {
      if (pricing === undefined) throw new AppError("unavailable", { detail: "PRICING_URL is not set" });
      const changes = rows.map(({ payload }) => productPayload.parse(JSON.parse(payload)));
      const writes = changes.flatMap((change) => change.writes);
      if (writes.length > 0) {
        const { rejected } = await pricing.importProducts(writes, signal);
        for (const { code, detail } of rejected) {
          refused.inc({ code });
          logger.warn({ code, detail }, "pricing refused a product of a feed");
        }
      }
      signal.throwIfAborted();
      // Behind the products: an event about one that is not there yet would be skipped.
      await Promise.all(
        changes.flatMap(({ changeId, observedAt, stocks }) =>
          stocks.map(({ productId, stock }) =>
            producer.send({
              topic: marketEvents,
              key: productId,
              value: encodeEnvelope(marketEventMessage, {
                id: `ingest.${changeId}.${productId}`.slice(0, 255),
                type: "market-event",
                version: 1,
                occurredAt: observedAt,
                tenantId: engineTenant,
                data: { kind: "stock", productId, stock, observedAt },
              }),
            }),
          ),
        ),
      );
    },
  };
}
