import { readFile } from "node:fs/promises";
import { loadConfig } from "@pricing-engine/chassis/config";
import { serveHttp } from "@pricing-engine/chassis/http";
import type { Lifecycle, ReadyInfo } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { startMetricsServer } from "@pricing-engine/chassis/metrics";
import { startTelemetry } from "@pricing-engine/chassis/telemetry";
import { enginePrefix, engineSettingsSchema, topicName, topics } from "@pricing-engine/contracts";
import { isPostgresOutage, makePool } from "@pricing-engine/postgres";
import { makePriceCache } from "@pricing-engine/price-cache";
import { makeLocalTokenBucket, makeRedis, makeTokenBucket, watchSettings } from "@pricing-engine/redis";
import { makeSearchCache } from "@pricing-engine/search-cache";
import { uuidv7 } from "uuidv7";
import { startCensus } from "../adapters/census.ts";
import { makeKeyStore } from "../adapters/key-store.ts";
import { makeKeyring } from "../adapters/keyring.ts";
import { makeOrdersPressure } from "../adapters/orders-pressure.ts";
import { startPressureGauge } from "../adapters/pressure-gauge.ts";
import { makeUpstream } from "../adapters/upstream.ts";
import { makeApp, type OrdersDeps, type PaymentDeps } from "../app.ts";
import { type Config, configSchema } from "../config.ts";
import { makePaymentFront } from "../http/payment-front.ts";
import { makePaymentNotes } from "../http/payments.ts";
import type { FrontFindings } from "../http/price.ts";
import { makePriceFront } from "../http/price-front.ts";
import { makeSearchFront } from "../http/search-front.ts";
import { makeAcceptPayment } from "../usecases/accept-payment.ts";
import { makeAskPrice } from "../usecases/ask-price.ts";
import { makeCreateKey } from "../usecases/create-key.ts";
import { makeRevokeKey } from "../usecases/revoke-key.ts";
import { makeTakeToken } from "../usecases/take-token.ts";

/**
 * Whoever gives up on Redis counts by itself, and admits more than the bucket holds; in a burst of hundreds of requests the loop alone may
 * be late by more than what a cached price may cost. A Redis that is down still fails at once.
 */
const bucketTimeoutMs = 2_000;

export async function runApi(lifecycle: Lifecycle, logger: Logger): Promise<ReadyInfo> {
  const config = loadConfig(configSchema, process.env);
  const { health } = lifecycle;
  const metrics = await startMetricsServer({ port: config.METRICS_PORT, host: config.HTTP_HOST, health, lifecycle });
  await startTelemetry({
    serviceName: "gateway",
    endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
    sampleRatio: config.TRACE_SAMPLE_RATIO,
    lifecycle,
  });
  const prefix = enginePrefix(config.ENGINE_NAMESPACE, config.ENGINE_NAME);

  // Keys alone are read from Postgres, once a second each.
  const pool = makePool({ url: config.POSTGRES_URL, max: 4, applicationName: `${prefix}gateway`, logger });
  lifecycle.defer("postgres", () => pool.close());
  const redis = makeRedis({ url: config.REDIS_URL, logger, name: `${prefix}gateway` });
  lifecycle.defer("redis", () => redis.close());
  const bucketRedis = makeRedis({
    url: config.REDIS_URL,
    logger,
    name: `${prefix}gateway-buckets`,
    breakerName: "redis-buckets",
    commandTimeoutMs: bucketTimeoutMs,
  });
  lifecycle.defer("redis of the buckets", () => bucketRedis.close());
  const watch = await watchSettings({
    redis,
    prefix,
    file: config.SETTINGS_FILE,
    schema: engineSettingsSchema,
    onChange: ({ telemetry }) => {
      logger.level = telemetry.logLevel;
    },
    logger,
    lifecycle,
  });
  const settings = () => watch.current().gateway;

  const keyStore = makeKeyStore(pool);
  const keyring = makeKeyring({
    look: (hash) => keyStore.find(hash),
    isOutage: isPostgresOutage,
    adminKey: await readAdminKey(config.ADMIN_KEY_FILE),
    now: () => performance.now(),
  });
  const upstream =
    config.PRICING_URL === undefined ? undefined : makeUpstream({ url: config.PRICING_URL, name: "pricing" });
  if (upstream !== undefined) lifecycle.defer("pricing connections", () => upstream.close());
  const pricing = upstream && { upstream, askPrice: makeAskPrice({ upstream, logger }) };
  const ingest = config.INGEST_URL === undefined ? undefined : makeUpstream({ url: config.INGEST_URL, name: "ingest" });
  if (ingest !== undefined) lifecycle.defer("ingest connections", () => ingest.close());
  const searchCache = makeSearchCache({ redis, prefix, onError: (err) => logger.debug({ err }, "search cache") });
  const cache = makePriceCache({ redis, prefix, onError: (err) => logger.debug({ err }, "price cache") });
  const findings = new WeakMap<Request, FrontFindings>();
  const payment = await makePayment(config, prefix, lifecycle, logger);
  const orders = await makeOrders(config, prefix, lifecycle, logger);
  const app = makeApp({
    logger,
    health,
    settings,
    corsOrigins: config.CORS_ORIGINS,
    keyring,
    keyStore,
    createKey: makeCreateKey({ store: keyStore }),
    revokeKey: makeRevokeKey({ store: keyStore, keyring }),
    takeToken: makeTakeToken({
      shared: makeTokenBucket({ redis: bucketRedis, prefix }),
      local: makeLocalTokenBucket({ now: () => performance.now() }),
      liveGateways: startCensus({ redis, prefix, lifecycle }),
    }),
    cache,
    findings,
    pricing,
    searchCache,
    ingest,
    payment,
    orders,
  });
  const common = { app, keyring, settings, logger };
  const fronts = [
    ...(pricing === undefined ? [] : [makePriceFront({ ...common, cache, askPrice: pricing.askPrice, findings })]),
    ...(ingest === undefined ? [] : [makeSearchFront({ ...common, cache: searchCache })]),
    ...(payment === undefined ? [] : [makePaymentFront({ ...common, ...payment })]),
  ];
  const server = await serveHttp({
    app,
    front: (incoming, outgoing) => fronts.some((front) => front(incoming, outgoing)),
    port: config.HTTP_PORT,
    host: config.HTTP_HOST,
    // Where the kernel can spread connections over processes.
    reusePort: process.platform === "linux" && config.HTTP_PORT !== 0,
    streams: ({ url }) => url?.startsWith("/api/v1/products:import") === true,
    streamedTimeoutMs: 15 * 60_000,
    lingerMs: config.HTTP_LINGER_MS,
    lifecycle,
  });
  return { httpPort: server.port, metricsPort: metrics.port };
}

/** Closed after the HTTP server: what was taken in is answered first. */
async function makePayment(
  config: Config,
  prefix: string,
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<PaymentDeps | undefined> {
  const { PAYMENT_URL: url, KAFKA_BROKERS: brokers } = config;
  if (url === undefined || brokers === undefined) return undefined;
  // Only here: a gateway without payments needs no Kafka client in its memory.
  const { kafkaAccessOf, makeKafka, makeProducer } = await import("@pricing-engine/kafka");
  const upstream = makeUpstream({ url, name: "payment" });
  lifecycle.defer("payment connections", () => upstream.close());
  const access = kafkaAccessOf({ ...config, KAFKA_BROKERS: brokers });
  const producer = makeProducer({ kafka: makeKafka({ ...access, clientId: `${prefix}gateway`, logger }) });
  lifecycle.defer("kafka producer", () => producer.close());
  const accept = makeAcceptPayment({
    producer,
    topic: topicName(prefix, topics.payments),
    newId: uuidv7,
    nowMs: Date.now,
    monotonicMs: () => performance.now(),
  });
  return { upstream, accept, notes: makePaymentNotes() };
}

async function makeOrders(
  config: Config,
  prefix: string,
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<OrdersDeps | undefined> {
  const { ORDERS_URL: url, KAFKA_BROKERS: brokers } = config;
  if (url === undefined || brokers === undefined) return undefined;
  const { kafkaAccessOf, makeKafka, makeKafkaAdmin } = await import("@pricing-engine/kafka");
  const upstream = makeUpstream({ url, name: "orders" });
  lifecycle.defer("orders connections", () => upstream.close());
  const access = kafkaAccessOf({ ...config, KAFKA_BROKERS: brokers });
  const admin = makeKafkaAdmin({ kafka: makeKafka({ ...access, clientId: `${prefix}gateway-lag`, logger }) });
  lifecycle.defer("kafka admin", () => admin.close());
  const parts = makeOrdersPressure({ admin, prefix, upstream });
  return { upstream, waiting: startPressureGauge({ parts, now: () => performance.now(), logger, lifecycle }) };
}

async function readAdminKey(path: string | undefined): Promise<string | undefined> {
  const key = path === undefined ? "" : (await readFile(path, "utf8")).trim();
  return key === "" ? undefined : key;
}
