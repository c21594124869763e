import { AppError } from "@pricing-engine/chassis/errors";
import { makePlainLogger } from "@pricing-engine/chassis/log";
import { findTraceId } from "@pricing-engine/chassis/telemetry";
import { retryTopic } from "@pricing-engine/contracts";
import { type CommonOptions, type Consumer, resolveSettings, type Settings } from "./consumer-options.ts";
import { decideFailure, type Failure } from "./failure.ts";
import { type Intake, startIntake, type Work } from "./intake.ts";
import type { Message } from "./message.ts";
import { makeConsumerMetrics } from "./metrics.ts";
import { makeOutageGate, type OutageGate } from "./outage-gate.ts";

/** What a try came to. An outage is repeated, an abandoned one belongs to whoever has the partition now. */
export type Outcome = { kind: "settled" } | { kind: "abandoned" } | { kind: "outage"; error: unknown };

export type Handled = "done" | "retried" | "dead" | "outage";

export interface Core {
  settings: Settings;
  /** Counts a message, and tells what became of it. */
  handled(message: Message, outcome: Handled, durationMs: number): void;
  gate: OutageGate;
  mayStart(): boolean;
  /** Counts what runs, so that `stop` can wait for it. */
  track(run: () => Promise<void>): void;
  /** Decides what the error of a handler means and does it. `earlier` is a decision whose record is not written yet. */
  settleFailure(
    work: Work,
    error: unknown,
    earlier: Failure | undefined,
  ): Promise<{ outcome: Outcome; failure?: Failure }>;
  consumer: Consumer;
}

export interface CoreOptions {
  options: CommonOptions;
  onWork(work: Work): void;
  /** Something may have become free to run. */
  pump(): void;
}

/** What both consumers share: intake, outages, retries and dead letters, pausing, health, stopping. */
export function startCore({ options, onWork, pump }: CoreOptions): Core {
  const { kafka, producer, groupId, topics, isOutage, logHandled = true } = options;
  const settings = resolveSettings(options);
  const logger = options.logger.child({ group: groupId });
  const metrics = makeConsumerMetrics(groupId);
  const events = makePlainLogger(logger);
  // A single attempt that may become more needs them too, and what waits there outlives a change to one.
  const retryTopics = new Set(settings.retry.attempts !== 1 ? topics.map((topic) => retryTopic(topic, groupId)) : []);
  let paused = false;
  let stopping: Promise<void> | undefined;
  let stopped = false;
  let failed = false;
  let running = 0;
  let onIdle: (() => void) | undefined;

  const gate = makeOutageGate({
    backoff: settings.outageBackoff,
    random: Math.random,
    onOpen() {
      logger.info("outage is over, going on");
      pump();
    },
    onOutage: (error) => logger.warn({ err: error }, "outage: waiting, no attempt is counted"),
  });

  const intake: Intake = startIntake({
    kafka,
    groupId,
    topics: [...topics, ...retryTopics],
    retryTopics,
    settings,
    onWork,
    metrics,
    logger,
  });
  intake.failed.catch(() => {
    failed = true;
  });

  const drained = () =>
    new Promise<void>((resolve) => {
      if (running === 0) resolve();
      else onIdle = resolve;
    });

  const stop = async () => {
    intake.close();
    gate.close();
    await within(drained(), settings.stopTimeoutMs);
    if (running > 0) {
      intake.abort();
      await within(drained(), 500);
    }
    await intake.stop();
    stopped = true;
  };

  const consumer: Consumer = {
    pause() {
      paused = true;
      intake.setPaused(true);
    },
    resume() {
      paused = false;
      intake.setPaused(false);
      pump();
    },
    stop() {
      stopping ??= stop();
      return stopping;
    },
    health() {
      const { assigned, restarts, joined, fetching, lastError } = intake.health();
      const common = { assigned, restarts, inHand: intake.inHand() };
      const why = lastError === undefined ? {} : { reason: lastError };
      if (failed) return { ...common, ...why, ready: false, state: "failed" };
      if (stopped || stopping !== undefined) return { ...common, ready: false, state: "stopped" };
      if (!joined || !fetching) {
        return { ...common, ...why, ready: false, state: restarts > 0 ? "restarting" : "starting" };
      }
      const outage = gate.reason();
      if (outage !== undefined) return { ...common, ready: true, state: "outage", reason: outage };
      return { ...common, ready: true, state: paused ? "paused" : "running" };
    },
    failed: intake.failed,
  };

  return {
    settings,
    handled(message, outcome, durationMs) {
      const { topic, partition, offset, key, attempt, headers } = message;
      metrics.handled(topic, outcome, durationMs);
      // A failure has its own line, and so has an outage.
      if (outcome !== "done" || !logHandled) return;
      const traceId = findTraceId(headers.traceparent);
      events.info(
        { topic, partition, offset: offset.toString(), key, attempt, durationMs, traceId },
        "message handled",
      );
    },
    gate,
    mayStart: () => !paused && stopping === undefined && gate.reason() === undefined,
    track(run) {
      running += 1;
      void run().finally(() => {
        running -= 1;
        if (running === 0) onIdle?.();
      });
    },
    async settleFailure(work, error, earlier) {
      // Whoever has the partition now (or after a restart) gets the message again: nothing to write here.
      if (work.signal.aborted) return { outcome: { kind: "abandoned" } };
      let failure = earlier;
      if (failure === undefined) {
        if (isOutage(error) || isOwnOutage(error)) return { outcome: { kind: "outage", error } };
        const { retry } = settings;
        const context = { groupId, retry, isCopy: work.isCopy, nowMs: Date.now(), random: Math.random() };
        failure = decideFailure(work.record, error, context);
        metrics.failed(work.record.topic, failure.code);
        const { topic, partition, offset } = work.record;
        const line = { err: error, topic, partition, offset: offset.toString(), outcome: failure.outcome };
        if (failure.outcome === "dead") logger.error(line, "message goes to the dead letters");
        else logger.warn(line, "message failed, it is retried");
      }
      try {
        await producer.send(failure.outgoing);
      } catch (publishFailure) {
        return { outcome: { kind: "outage", error: publishFailure }, failure };
      }
      return { outcome: { kind: "settled" }, failure };
    },
    consumer,
  };
}

function isOwnOutage(error: unknown): boolean {
  return error instanceof AppError && (error.code === "kafka_unavailable" || error.code === "publish_unknown");
}

async function within(promise: Promise<void>, timeoutMs: number): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, timeoutMs);
  await Promise.race([promise, late.promise]);
  clearTimeout(timer);
}
