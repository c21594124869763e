import type { Lifecycle } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { startTelemetry } from "@pricing-engine/chassis/telemetry";
import { makePool, type Pool } from "@pricing-engine/postgres";
import { makePriceCache, type PriceCache } from "@pricing-engine/price-cache";
import { type GuardedRedis, makeRedis } from "@pricing-engine/redis";
import { type CompiledPolicies, makeCompiledPolicies } from "../adapters/compiled-policies.ts";
import { followSettings, type LiveSettings } from "../adapters/settings.ts";
import type { Config } from "../config.ts";
import { makeApplySettings } from "../usecases/apply-settings.ts";
import { type MarkCommitted, makeMarkCommitted } from "../usecases/mark-committed.ts";
import { makePublishPrices, type PublishPrices } from "../usecases/publish-prices.ts";

/** What both the api and the worker stand on. */
export interface Resources {
  readonly pool: Pool;
  readonly redis: GuardedRedis;
  readonly cache: PriceCache;
  readonly policies: CompiledPolicies;
  readonly publishPrices: PublishPrices;
  readonly markCommitted: MarkCommitted;
  readonly prefix: string;
  readonly logger: Logger;
}

export async function openResources(
  name: string,
  config: Config,
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<Resources> {
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
  const { prefix } = config;
  const cache = makePriceCache({ redis, prefix, onError: (error) => logger.debug({ err: error }, "price cache") });
  const policies = makeCompiledPolicies();
  const publishPrices = makePublishPrices({ prefix, policies, logger });
  const markCommitted = makeMarkCommitted({ cache, logger });
  return { pool, redis, cache, policies, publishPrices, markCommitted, prefix, logger };
}

export function openSettings(resources: Resources, config: Config, lifecycle: Lifecycle): Promise<LiveSettings> {
  const { redis, prefix, logger } = resources;
  const applySettings = makeApplySettings(resources);
  return followSettings({ redis, prefix, file: config.SETTINGS_FILE, applySettings, logger, lifecycle });
}
