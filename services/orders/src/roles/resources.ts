import type { Lifecycle } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { startMetricsServer } from "@pricing-engine/chassis/metrics";
import { startTelemetry } from "@pricing-engine/chassis/telemetry";
import { type EngineSettings, engineSettingsSchema } from "@pricing-engine/contracts";
import { type Kafka, kafkaAccessOf, makeKafka, makeProducer, type Producer } from "@pricing-engine/kafka";
import { exposeOutbox, keyedPlans, makeOutboxRelay, makePool, type Pool } from "@pricing-engine/postgres";
import { makeRedis, watchSettings } from "@pricing-engine/redis";
import { sink } from "../adapters/outbox-rows.ts";
import { schemaName } from "../adapters/schema.ts";
import type { Config } from "../config.ts";

/** What every role stands on. */
export interface Resources {
  readonly pool: Pool;
  readonly kafka: Kafka;
  readonly producer: Producer;
  readonly settings: () => EngineSettings;
  readonly metricsPort: number;
}

export async function openResources(
  name: string,
  config: Config,
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<Resources> {
  const { port: metricsPort } = await startMetricsServer({
    port: config.METRICS_PORT,
    host: config.HTTP_HOST,
    health: lifecycle.health,
    lifecycle,
  });
  await startTelemetry({
    serviceName: name,
    endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
    sampleRatio: config.TRACE_SAMPLE_RATIO,
    lifecycle,
  });
  const pool = makePool({
    url: keyedPlans(config.POSTGRES_URL),
    max: Math.max(6, config.POSTGRES_POOL_SIZE),
    applicationName: name,
    logger,
  });
  lifecycle.defer("postgres", () => pool.close());
  lifecycle.health.register("postgres", async () => {
    await pool.check(900);
    return { ok: true };
  });
  const redis = makeRedis({ url: config.REDIS_URL, logger, name });
  lifecycle.defer("redis", () => redis.close());
  const watch = await watchSettings({
    redis,
    prefix: config.prefix,
    file: config.SETTINGS_FILE,
    schema: engineSettingsSchema,
    onChange: ({ telemetry }) => {
      logger.level = telemetry.logLevel;
    },
    logger,
    lifecycle,
  });
  const kafka = makeKafka({ ...kafkaAccessOf(config), clientId: name, logger });
  const producer = makeProducer({ kafka });
  lifecycle.defer("kafka producer", () => producer.close());
  return { pool, kafka, producer, settings: () => watch.current(), metricsPort };
}

/** Carries the outbox to Kafka. Of all roles two do: each commit wakes every relay there is. */
export function startRelay({ pool, producer }: Resources, lifecycle: Lifecycle, logger: Logger): void {
  const relay = makeOutboxRelay({
    pool,
    schema: schemaName,
    logger,
    gatherMs: 20,
    sinks: {
      [sink]: async (rows) => {
        await Promise.all(
          rows.map(({ topic, key, payload, headers }) => producer.send({ topic, key, value: payload, headers })),
        );
      },
    },
  });
  lifecycle.defer("outbox relay", () => relay.stop());
  relay.start();
  exposeOutbox(relay);
}
