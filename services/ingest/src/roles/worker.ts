import { type Lifecycle, runInBackground } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { counter } from "@pricing-engine/chassis/metrics";
import { groupName, topicName, topics } from "@pricing-engine/contracts";
import { runBatchConsumer } from "@pricing-engine/kafka";
import { exposeOutbox, makeOutboxRelay } from "@pricing-engine/postgres";
import { makeSearchCache } from "@pricing-engine/search-cache";
import { digest } from "../adapters/digest.ts";
import { isOutage } from "../adapters/outages.ts";
import { makePricingClient } from "../adapters/pricing-client.ts";
import { makeRelaySinks } from "../adapters/relay-sinks.ts";
import { schemaName } from "../adapters/schema.ts";
import type { Config } from "../config.ts";
import { makeCatalogEventsHandler } from "../events/catalog-events.ts";
import { makeApplyCatalogEvents } from "../usecases/apply-catalog-events.ts";
import { needPostgres, openKafka, openResources } from "./resources.ts";

const maxBatchRecords = 100;

/** Stores what pollers publish, and carries what follows to Redis and to pricing. */
export async function runWorker(
  config: Config,
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<{ metricsPort: number }> {
  const name = "ingest-worker";
  // A feed's plans may wait; a provider is not kept waiting for them, and a customer even less.
  runInBackground();
  const { pool, redis, settings, metricsPort } = await openResources(name, config, lifecycle, logger);
  needPostgres(pool, lifecycle);
  const { kafka, producer } = openKafka(name, config, lifecycle, logger);
  const { prefix } = config;
  const cache = makeSearchCache({ redis, prefix });
  const pricing = config.PRICING_URL === undefined ? undefined : makePricingClient({ url: config.PRICING_URL });
  const sinks = makeRelaySinks({ cache, producer, pricing, prefix, logger });
  const relay = makeOutboxRelay({ pool, schema: schemaName, sinks, logger, isOutage, batchSize: 20 });
  lifecycle.defer("outbox relay", () => relay.stop());
  relay.start();
  exposeOutbox(relay);

  const applied = counter({ name: "pricing_engine_source_plans_applied_total", help: "Plans stored by this worker." });
  const applyCatalogEvents = makeApplyCatalogEvents({ pool, digest, currency: () => settings().pricing.currency });
  const consumer = runBatchConsumer({
    kafka,
    producer,
    groupId: groupName(prefix, name),
    topics: [topicName(prefix, topics.catalogEvents)],
    concurrency: config.WORKER_CONCURRENCY,
    maxBatchRecords,
    // Of up to 900 KiB each.
    maxBuffered: 2 * maxBatchRecords,
    isOutage,
    logger,
    handle: makeCatalogEventsHandler({ applyCatalogEvents, onApplied: (count) => applied.inc(count) }),
  });
  lifecycle.defer("kafka consumer", () => consumer.stop());
  consumer.failed.catch(async (error: unknown) => {
    logger.fatal({ err: error }, "the consumer has failed");
    await lifecycle.shutdown("the consumer has failed");
    process.exit(1);
  });
  lifecycle.health.register("kafka", () => {
    const { ready, reason, state } = consumer.health();
    return ready ? { ok: true } : { ok: false, reason: reason ?? state };
  });
  return { metricsPort };
}
