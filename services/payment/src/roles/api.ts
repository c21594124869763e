import { makeHttpApp, serveHttp } from "@pricing-engine/chassis/http";
import type { Lifecycle } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { startMetricsServer } from "@pricing-engine/chassis/metrics";
import { startTelemetry } from "@pricing-engine/chassis/telemetry";
import { engineSettingsSchema } from "@pricing-engine/contracts";
import { makePool } from "@pricing-engine/postgres";
import { makeRedis, watchSettings } from "@pricing-engine/redis";
import { findPayment, purgePayments, readSummary } from "../adapters/payment-reader.ts";
import type { ApiConfig } from "../config.ts";
import { mountPayments } from "../http/payments.ts";

const name = "payment-api";

export async function runApi(
  config: ApiConfig,
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<{ httpPort: number; metricsPort: number }> {
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
    logger,
  });
  lifecycle.defer("postgres", () => pool.close());
  lifecycle.health.register("postgres", async () => {
    await pool.check(900);
    return { ok: true };
  });
  const redis = makeRedis({ url: config.REDIS_URL, logger, name });
  lifecycle.defer("redis", () => redis.close());
  const settings = await watchSettings({
    redis,
    prefix: config.prefix,
    file: config.SETTINGS_FILE,
    schema: engineSettingsSchema,
    logger,
    lifecycle,
    onChange: (changed) => {
      logger.level = changed.telemetry.logLevel;
    },
  });
  const app = makeHttpApp({ logger, name });
  mountPayments(app, {
    findPayment: (id) => findPayment(pool, id),
    readSummary: (fromMs, toMs) => readSummary(pool, fromMs, toMs),
    purge: () => purgePayments(pool),
    mayPurge: () => settings.current().gateway.allowPurge,
  });
  const { port: httpPort } = await serveHttp({
    app,
    port: config.HTTP_PORT,
    host: config.HTTP_HOST,
    lingerMs: config.HTTP_LINGER_MS,
    lifecycle,
  });
  return { httpPort, metricsPort };
}
