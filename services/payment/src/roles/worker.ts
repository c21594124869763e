import { randomUUID } from "node:crypto";
import { type Lifecycle, runEvery, runInBackground } from "@pricing-engine/chassis/lifecycle";
import { type Logger, makePlainLogger } from "@pricing-engine/chassis/log";
import { startMetricsServer } from "@pricing-engine/chassis/metrics";
import { findTraceId, startTelemetry } from "@pricing-engine/chassis/telemetry";
import { engineSettingsSchema, groupName, topicName, topics } from "@pricing-engine/contracts";
import {
  type Consumer,
  kafkaAccessOf,
  makeKafka,
  makeKafkaAdmin,
  makeProducer,
  runBatchConsumer,
  runConsumer,
} from "@pricing-engine/kafka";
import { exposeOutbox, keyedPlans, makeOutboxRelay, makePool } from "@pricing-engine/postgres";
import { makeRedis, watchSettings } from "@pricing-engine/redis";
import { makeBacklogReader } from "../adapters/backlog.ts";
import { systemClock } from "../adapters/clock.ts";
import { makeControlStore } from "../adapters/control-store.ts";
import { exposeTraffic, measured } from "../adapters/metrics.ts";
import { isMessageFault } from "../adapters/outages.ts";
import { makePaymentStore } from "../adapters/payment-store.ts";
import { makeHttpProcessors } from "../adapters/processors.ts";
import { makeReviewer } from "../adapters/review.ts";
import { schemaName } from "../adapters/rows.ts";
import { tellMisconfigured } from "../adapters/tell-misconfigured.ts";
import type { WorkerConfig } from "../config.ts";
import { toCharge } from "../events/charges.ts";
import { toControl } from "../events/controls.ts";
import { makeCharger } from "../usecases/charge.ts";
import { makeControlPayment } from "../usecases/control.ts";
import { makeTraffic, type TrafficControl, tickMs } from "../usecases/traffic.ts";
import { endpointsOf } from "./endpoints.ts";

const name = "payment-worker";
// With 10 the gateway takes a little more, and the worker settles a quarter less (docs/decisions/0057).
const niceness = 5;
const sweepEveryMs = 500;
const assignEveryMs = 200;
const backlogEveryMs = 1_000;

/** Sends and settles, ends what orders want ended, refunds, and carries the outbox. */
export async function runWorker(
  config: WorkerConfig,
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<{ metricsPort: number }> {
  // On one machine the gateway goes first, for which a client waits: what it has accepted is settled from what is left of the CPUs.
  runInBackground(niceness);
  const { prefix } = config;
  const { signal } = lifecycle;
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
    max: Math.max(8, config.POSTGRES_POOL_SIZE),
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
  let traffic: TrafficControl | undefined;
  const settings = await watchSettings({
    redis,
    prefix,
    file: config.SETTINGS_FILE,
    schema: engineSettingsSchema,
    logger,
    lifecycle,
    onChange: (changed) => {
      logger.level = changed.telemetry.logLevel;
      traffic?.setSettings(changed.payment);
    },
    // A verdict ages from when it was last heard.
    onRenewal: ({ payment }) => traffic?.setSettings(payment),
  });
  const control = makeTraffic({ clock: systemClock, settings: settings.current().payment });
  traffic = control;
  const ticking = setInterval(() => control.tick(), tickMs);
  lifecycle.defer("traffic", () => clearInterval(ticking));

  const kafka = makeKafka({ ...kafkaAccessOf(config), clientId: name, logger });
  const producer = makeProducer({ kafka });
  lifecycle.defer("kafka producer", () => producer.close());
  const admin = makeKafkaAdmin({ kafka });
  lifecycle.defer("kafka admin", () => admin.close());
  const relay = makeOutboxRelay({
    pool,
    schema: schemaName,
    logger,
    gatherMs: 20,
    sinks: {
      kafka: async (rows) => {
        await Promise.all(
          rows.map(({ topic, key, payload, headers }) => producer.send({ topic, key, value: payload, headers })),
        );
      },
    },
  });
  lifecycle.defer("outbox relay", () => relay.stop());
  relay.start();
  exposeOutbox(relay);

  const processors = makeHttpProcessors(endpointsOf(config), { timeoutMs: config.PAYMENT_TIMEOUT_MS });
  lifecycle.defer("processors", () => processors.close());
  const review = makeReviewer({ processors, pool, logger });
  const owner = randomUUID();
  const events = makePlainLogger(logger);
  const charger = makeCharger({
    owner,
    store: makePaymentStore({ pool, prefix, owner }),
    processors: measured(tellMisconfigured(processors, logger)),
    traffic: control,
    clock: systemClock,
    signal,
    onSettled: (payment, already, trace) => {
      const { id, source, orderId, processor, amountMinor, attempts, acceptedAtMs } = payment;
      const traceId = findTraceId(trace?.traceparent);
      const durationMs = systemClock.nowMs() - acceptedAtMs;
      // The span that it is told in is that of a whole batch.
      const span = { traceId, spanId: undefined };
      events.info(
        { payment: id, source, orderId, processor, amountMinor, attempts, durationMs, ...span },
        "payment settled",
      );
      if (already) review(payment);
    },
    onError: (error, what) => logger.warn({ err: error, what }, "a payment waits"),
  });
  exposeTraffic(control, charger.inHand);
  lifecycle.defer("payments in hand", () => charger.idle());

  const topic = topicName(prefix, topics.payments);
  const groupId = groupName(prefix, name);
  const consumer = runBatchConsumer({
    kafka,
    producer,
    groupId,
    topics: [topic],
    // Every partition may wait for its slots without holding up another.
    concurrency: 1_000,
    maxBatchRecords: 200,
    // The client has its answer, and an order can wait so long: a fetch costs the broker as much for one payment as for many.
    fetchSpacingMs: 20,
    // A charge that comes back on another partition would not be its owner's: what is at fault goes to the dead letters.
    retry: { attempts: 1 },
    isOutage: (error) => signal.aborted || !isMessageFault(error),
    logger,
    // One line for each is told when it is settled.
    logHandled: false,
    handle: ({ partition, messages }, context) =>
      charger.takeIn(
        partition,
        messages.map((message) => toCharge(message, partition)),
        AbortSignal.any([context.signal, signal]),
      ),
  });
  lifecycle.defer("kafka consumer", () => consumer.stop());
  const controlPayment = makeControlPayment({ store: makeControlStore({ pool, prefix }), clock: systemClock });
  const controls = runConsumer({
    kafka,
    producer,
    groupId: groupName(prefix, "payment-controls"),
    topics: [topicName(prefix, topics.paymentControls)],
    concurrency: 8,
    isOutage: (error) => !isMessageFault(error),
    logger,
    handle: (message) => controlPayment(toControl(message)),
  });
  lifecycle.defer("controls consumer", () => controls.stop());
  for (const one of [consumer, controls]) exitWith(one, lifecycle, logger);

  const every = { signal, logger };
  const assigned = (): number[] =>
    consumer
      .health()
      .assigned.filter((one) => one.topic === topic)
      .map(({ partition }) => partition);
  const readBacklog = makeBacklogReader({ admin, pool, topic, groupId });
  runEvery("assign", assignEveryMs, () => charger.assign(assigned()), every);
  runEvery("sweep", sweepEveryMs, () => charger.sweep(), every);
  runEvery("refunds", sweepEveryMs, () => charger.sweepRefunds(), every);
  runEvery("backlog", backlogEveryMs, async () => control.setBacklog(await readBacklog(assigned())), every);

  for (const [part, one] of [
    ["kafka", consumer],
    ["kafka controls", controls],
  ] as const) {
    lifecycle.health.register(part, () => {
      const { ready, reason, state } = one.health();
      return ready ? { ok: true } : { ok: false, reason: reason ?? state };
    });
  }
  return { metricsPort };
}

/** A consumer that cannot be kept alive must not sit silent: the process ends, and whoever started it starts another. */
function exitWith(consumer: Consumer, lifecycle: Lifecycle, logger: Logger): void {
  consumer.failed.catch(async (error: unknown) => {
    logger.fatal({ err: error }, "the consumer has failed");
    await lifecycle.shutdown("the consumer has failed");
    process.exit(1);
  });
}
