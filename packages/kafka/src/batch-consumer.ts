import { extractContext, SpanKind, trace, withSpan } from "@pricing-engine/chassis/telemetry";
import { type Handled, type Outcome, startCore } from "./consumer-core.ts";
import type { CommonOptions, Consumer } from "./consumer-options.ts";
import type { Failure } from "./failure.ts";
import { toMessage } from "./headers.ts";
import type { Work } from "./intake.ts";
import type { Message } from "./message.ts";

export interface MessageBatch {
  /** Where the batch was read; for copies on a retry topic the messages say where they came from. */
  topic: string;
  partition: number;
  /** In the order of the partition, at least one. */
  messages: Message[];
}

export interface BatchConsumerOptions extends CommonOptions {
  /** Partitions whose batches run at once. Default 4. */
  concurrency?: number;
  /** Default 200. */
  maxBatchRecords?: number;
  /**
   * Handles a batch whole; the batches of one partition run one after another. When it throws something that is no
   * outage, its messages are handed over again one by one, so that only those at fault are retried or dead-lettered:
   * handling must be repeatable.
   */
  handle(batch: MessageBatch, context: { signal: AbortSignal }): Promise<void>;
}

interface Job {
  work: Work;
  message: Message;
  failure: Failure | undefined;
}

interface Lane {
  topic: string;
  partition: number;
  queue: Job[];
  busy: boolean;
  /** So many at the head are handled one by one: they were in a batch that failed. */
  singles: number;
}

/** Hands micro-batches per partition to one function and commits them when it resolves. */
export function runBatchConsumer(options: BatchConsumerOptions): Consumer {
  const { handle, concurrency = 4, maxBatchRecords = 200 } = options;
  const lanes = new Map<string, Lane>();
  let busyLanes = 0;

  const core = startCore({
    options,
    onWork(work) {
      const { topic, partition } = work.record;
      const id = `${topic}/${partition}`;
      let lane = lanes.get(id);
      if (lane === undefined) {
        lane = { topic, partition, queue: [], busy: false, singles: 0 };
        lanes.set(id, lane);
      }
      lane.queue.push({ work, message: toMessage(work.record, work.isCopy), failure: undefined });
      // A fetch hands over its records in one go: let them gather.
      if (lane.queue.length === 1) setImmediate(pump);
    },
    pump: () => pump(),
  });
  const { gate } = core;

  const runHandler = ({ topic, partition }: Lane, jobs: Job[]) => {
    const messages = jobs.map(({ message }) => message);
    const signals = jobs.map(({ work }) => work.signal);
    const contexts = messages.map(({ headers }) => extractContext(headers));
    const [parent] = contexts;
    // One span cannot have many parents: it continues the first trace and links the others.
    const links = contexts.slice(1).flatMap((linked) => {
      const context = trace.getSpanContext(linked);
      return context === undefined ? [] : [{ context }];
    });
    const attributes = { "messaging.system": "kafka", "messaging.batch.message_count": messages.length };
    const span = { kind: SpanKind.CONSUMER, links, attributes, ...(parent === undefined ? {} : { parent }) };
    return withSpan(`process ${topic}`, span, () =>
      handle({ topic, partition, messages }, { signal: AbortSignal.any([...new Set(signals)]) }),
    );
  };

  /** Handles what is at the head of the lane. */
  const step = async (lane: Lane): Promise<Outcome> => {
    const dropped = lane.queue.filter(({ work }) => work.isDropped());
    if (dropped.length > 0) {
      lane.queue = lane.queue.filter(({ work }) => !work.isDropped());
      lane.singles = 0;
      for (const { work } of dropped) work.finish();
    }
    const jobs = lane.queue.slice(0, lane.singles > 0 ? 1 : maxBatchRecords);
    const [first] = jobs;
    if (first === undefined) return { kind: "settled" };
    const startedMs = performance.now();
    const report = ({ message }: Job, outcome: Handled) =>
      core.handled(message, outcome, performance.now() - startedMs);
    const takeOff = () => {
      lane.queue.splice(0, jobs.length);
      lane.singles = Math.max(0, lane.singles - jobs.length);
      for (const { work } of jobs) work.finish();
    };
    let error: unknown;
    if (first.failure === undefined) {
      try {
        await runHandler(lane, jobs);
        for (const job of jobs) report(job, "done");
        takeOff();
        return { kind: "settled" };
      } catch (thrown) {
        error = thrown;
      }
    }
    if (jobs.length > 1 && !options.isOutage(error) && !first.work.signal.aborted) {
      lane.singles = jobs.length;
      return { kind: "settled" };
    }
    const { outcome, failure } = await core.settleFailure(first.work, error, first.failure);
    first.failure = failure;
    if (outcome.kind === "outage") report(first, "outage");
    if (outcome.kind === "settled") {
      report(first, failure?.outcome === "dead" ? "dead" : "retried");
      takeOff();
    }
    return outcome;
  };

  const run = async (lane: Lane) => {
    const outcome = await step(lane);
    if (outcome.kind === "outage") {
      gate.park(outcome.error, () => core.track(() => run(lane)));
      return;
    }
    lane.busy = false;
    busyLanes -= 1;
    if (outcome.kind === "settled") gate.succeeded();
    pump();
  };

  function pump() {
    for (const lane of lanes.values()) {
      if (!core.mayStart() || busyLanes >= concurrency) return;
      if (lane.busy || lane.queue.length === 0) continue;
      lane.busy = true;
      busyLanes += 1;
      core.track(() => run(lane));
    }
  }

  return core.consumer;
}
