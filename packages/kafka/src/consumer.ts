import { extractContext, SpanKind, withSpan } from "@pricing-engine/chassis/telemetry";
import { type Handled, type Outcome, startCore } from "./consumer-core.ts";
import type { CommonOptions, Consumer } from "./consumer-options.ts";
import type { Failure } from "./failure.ts";
import { toMessage } from "./headers.ts";
import type { Work } from "./intake.ts";
import { makeKeySchedule, type Scheduled } from "./key-schedule.ts";
import type { Message } from "./message.ts";

export interface ConsumerOptions extends CommonOptions {
  /** Handlers running at once, over all partitions. Default 16. */
  concurrency?: number;
  /**
   * Handles one message. Messages of one key run one after another, in order; others side by side. A throw that is no
   * outage is an attempt: retried later, dead at the end, dead at once when it is an AppError that is not retryable.
   * `signal` is aborted when the partition went to somebody else, or when stopping takes too long.
   */
  handle(message: Message, context: { signal: AbortSignal }): Promise<void>;
}

interface Job {
  work: Work;
  message: Message;
  /** Decided, but not written yet: after an outage the handler does not run again. */
  failure: Failure | undefined;
}

/**
 * Consumes the topics and their retry topics as a member of the group. What is finished is committed contiguously, so a
 * crash repeats messages and never skips one. Throws RangeError when settings contradict each other.
 */
export function runConsumer(options: ConsumerOptions): Consumer {
  const { handle, concurrency = 16 } = options;
  const schedule = makeKeySchedule<Job>(concurrency);

  const core = startCore({
    options,
    onWork(work) {
      const message = toMessage(work.record, work.isCopy);
      const lane = message.key === null ? null : `${message.topic}\0${message.key}`;
      schedule.add(lane, { work, message, failure: undefined });
      pump();
    },
    pump: () => pump(),
  });
  const { gate } = core;

  const runHandler = (job: Job) => {
    const { message, work } = job;
    const attributes = {
      "messaging.system": "kafka",
      "messaging.destination.name": message.topic,
      "messaging.consumer.group.name": options.groupId,
      "messaging.kafka.offset": message.offset.toString(),
      "messaging.attempt": message.attempt,
    };
    const parent = extractContext(message.headers);
    return withSpan(`process ${message.topic}`, { kind: SpanKind.CONSUMER, parent, attributes }, () =>
      handle(message, { signal: work.signal }),
    );
  };

  const tryOnce = async (job: Job): Promise<Outcome> => {
    const startedMs = performance.now();
    const report = (outcome: Handled) => core.handled(job.message, outcome, performance.now() - startedMs);
    let error: unknown;
    if (job.failure === undefined) {
      try {
        await runHandler(job);
        report("done");
        return { kind: "settled" };
      } catch (thrown) {
        error = thrown;
      }
    }
    const { outcome, failure } = await core.settleFailure(job.work, error, job.failure);
    job.failure = failure;
    if (outcome.kind === "outage") report("outage");
    else if (failure !== undefined) report(failure.outcome === "dead" ? "dead" : "retried");
    return outcome;
  };

  const run = async (scheduled: Scheduled<Job>) => {
    const job = scheduled.work;
    const outcome: Outcome = job.work.isDropped() ? { kind: "abandoned" } : await tryOnce(job);
    if (outcome.kind === "outage") {
      gate.park(outcome.error, () => core.track(() => run(scheduled)));
      return;
    }
    // Abandoned while stopping, its partition still ours: not finished, so it is not committed.
    if (outcome.kind === "settled" || job.work.isDropped()) job.work.finish();
    schedule.release(scheduled);
    if (outcome.kind === "settled") gate.succeeded();
    pump();
  };

  function pump() {
    while (core.mayStart()) {
      const scheduled = schedule.take();
      if (scheduled === undefined) return;
      core.track(() => run(scheduled));
    }
  }

  return core.consumer;
}
