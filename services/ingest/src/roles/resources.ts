import type { Lifecycle } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { startMetricsServer } from "@pricing-engine/chassis/metrics";
import { startTelemetry } from "@pricing-engine/chassis/telemetry";
import { type EngineSettings, engineSettingsSchema } from "@pricing-engine/contracts";
import { type Kafka, kafkaAccessOf, makeKafka, makeProducer, type Producer } from "@pricing-engine/kafka";
import { makePool, type Pool } from "@pricing-engine/postgres";
import { type GuardedRedis, makeRedis, watchSettings } from "@pricing-engine/redis";
import type { Config } from "../config.ts";

/** What every role stands on. */
export interface Resources {
  readonly pool: Pool;
  readonly redis: GuardedRedis;
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
    url: config.POSTGRES_URL,
    max: Math.max(4, config.POSTGRES_POOL_SIZE),
    applicationName: name,
    statementTimeoutMs: 30_000,
    logger,
  });
  lifecycle.defer("postgres", () => pool.close());
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
  return { pool, redis, settings: () => watch.current(), metricsPort };
}

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

/** Ready only while Postgres answers. */
export function needPostgres(pool: Pool, lifecycle: Lifecycle): void {
  lifecycle.health.register("postgres", async () => {
    await pool.check(900);
    return { ok: true };
  });
}
