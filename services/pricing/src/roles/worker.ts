import { type Lifecycle, runEvery } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { startMetricsServer } from "@pricing-engine/chassis/metrics";
import { groupName, topicName, topics } from "@pricing-engine/contracts";
import { type Consumer, runConsumer } from "@pricing-engine/kafka";
import { exposeOutbox, makeOutboxRelay, pruneInbox, query } from "@pricing-engine/postgres";
import { exposeTasks } from "../adapters/metrics.ts";
import { isOutage } from "../adapters/outages.ts";
import { makeRelaySinks } from "../adapters/relay-sinks.ts";
import { schemaName } from "../adapters/schema.ts";
import { readOpenTasks } from "../adapters/task-store.ts";
import type { Config } from "../config.ts";
import { makeMarketEventHandler } from "../events/market-events.ts";
import { makeRecalculationHandler } from "../events/recalculations.ts";
import { makeApplyMarketEvent } from "../usecases/apply-market-event.ts";
import { makeFailTask } from "../usecases/fail-task.ts";
import { makeRecalculateChunk } from "../usecases/recalculate-chunk.ts";
import { makeScheduleRecalculation } from "../usecases/schedule-recalculation.ts";
import { makeStartRecalculation } from "../usecases/start-recalculation.ts";
import { makeSweepTasks } from "../usecases/sweep-tasks.ts";
import { openKafka } from "./kafka.ts";
import { openResources, openSettings } from "./resources.ts";

const retry = { attempts: 5, baseMs: 1_000, maxMs: 60_000 };
const inboxAgeMs = 30 * 24 * 60 * 60_000;

/** Applies market events, recalculates, keeps the schedule, and carries the outbox. */
export async function runWorker(
  config: Config,
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<{ metricsPort: number }> {
  const name = "pricing-worker";
  const { port: metricsPort } = await startMetricsServer({
    port: config.METRICS_PORT,
    host: config.HTTP_HOST,
    health: lifecycle.health,
    lifecycle,
  });
  const resources = await openResources(name, config, lifecycle, logger);
  const { pool, cache, prefix } = resources;
  const { kafka, producer } = openKafka(name, config, lifecycle, logger);
  const settings = await openSettings(resources, config, lifecycle);

  const sinks = makeRelaySinks({ producer, cache });
  const relay = makeOutboxRelay({ pool, schema: schemaName, sinks, logger, isOutage, batchSize: 64 });
  lifecycle.defer("outbox relay", () => relay.stop());
  relay.start();
  exposeOutbox(relay);

  const startRecalculation = makeStartRecalculation(resources, { chunkSize: config.RECALCULATION_CHUNK_SIZE });
  const recalculateChunk = makeRecalculateChunk(resources, startRecalculation);
  const applyMarketEvent = makeApplyMarketEvent(resources);
  const failTask = makeFailTask(resources, startRecalculation);
  const sweepTasks = makeSweepTasks(resources, startRecalculation, { overdueMs: config.TASK_OVERDUE_MS });
  const scheduleRecalculation = makeScheduleRecalculation(resources);

  const common = { failTask, isOutage, attempts: retry.attempts };
  const handlers = {
    [topicName(prefix, topics.marketEvents)]: makeMarketEventHandler({
      ...common,
      applyMarketEvent,
      startRecalculation,
    }),
    [topicName(prefix, topics.recalculations)]: makeRecalculationHandler({ ...common, recalculateChunk }),
  };
  const consumer = runConsumer({
    kafka,
    producer,
    groupId: groupName(prefix, name),
    topics: Object.keys(handlers),
    concurrency: config.WORKER_CONCURRENCY,
    retry,
    isOutage,
    logger,
    handle: async (message) => {
      const handler = handlers[message.topic];
      if (handler === undefined) throw new Error(`there is no handler for ${message.topic}`);
      await handler(message);
    },
  });
  lifecycle.defer("kafka consumer", () => consumer.stop());
  exitWith(consumer, lifecycle, logger);

  const every = { signal: lifecycle.signal, logger };
  runEvery("sweep tasks", Math.min(5_000, config.TASK_OVERDUE_MS / 2), sweepTasks, every);
  runEvery("schedule", 1_000, () => scheduleRecalculation(settings.current().pricing.recalculateEveryMs), every);
  runEvery("prune inbox", 60 * 60_000, () => pruneInbox(pool, { schema: schemaName, olderThanMs: inboxAgeMs }), every);

  lifecycle.health.register("kafka", () => {
    const { ready, reason, state } = consumer.health();
    return ready ? { ok: true } : { ok: false, reason: reason ?? state };
  });
  exposeTasks(() => query(pool, 2_000, (on) => readOpenTasks(on)));
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
