import type { Logger } from "@pricing-engine/chassis/log";
import type { ConsumerHealth, Settings } from "./consumer-options.ts";
import { findDueAtMs } from "./headers.ts";
import type { Kafka } from "./kafka.ts";
import { type FetchedBatch, type Loop, type OffsetToCommit, startLoop, type TopicPartition } from "./loop.ts";
import type { RawRecord } from "./message.ts";
import type { ConsumerMetrics } from "./metrics.ts";
import { makeOffsetTracker, type OffsetTracker } from "./offset-tracker.ts";
import { isKafkaOutage } from "./outage.ts";
import { supervise } from "./supervisor.ts";

/** One record in hand. */
export interface Work {
  readonly record: RawRecord;
  /** Read from a retry topic. */
  readonly isCopy: boolean;
  /** Aborted when the partition is lost or the consumer gives up on waiting. */
  readonly signal: AbortSignal;
  /** Its partition went to somebody else before it started: to be passed over. */
  isDropped(): boolean;
  /** Done with, whatever the outcome: its offset may be committed once all before it are. */
  finish(): void;
}

export interface IntakeOptions {
  kafka: Kafka;
  groupId: string;
  topics: string[];
  /** The retry topics among them. */
  retryTopics: Set<string>;
  settings: Settings;
  onWork(work: Work): void;
  metrics: ConsumerMetrics;
  logger: Logger;
}

export interface Intake {
  setPaused(paused: boolean): void;
  /** Records that were handed out and are not finished. */
  inHand(): number;
  /** Nothing more is handed out; what waits for its time is dropped. */
  close(): void;
  /** Aborts the signals of what is still running. */
  abort(): void;
  /** Commits what is finished and leaves the group. */
  stop(): Promise<void>;
  health(): Pick<ConsumerHealth, "assigned" | "restarts"> & { joined: boolean; fetching: boolean; lastError?: string };
  failed: Promise<never>;
}

interface Entry {
  offset: bigint;
  state: "waiting" | "open" | "finished" | "dropped";
  timer: NodeJS.Timeout | undefined;
}

interface Partition extends TopicPartition {
  /** Undefined until the first fetch of this generation says where the group stands. */
  tracker: OffsetTracker | undefined;
  /** In hand or finished but not committed; kept through a rejoin, so that a refetch starts nothing twice. */
  entries: Map<bigint, Entry>;
  unfinished: number;
  committed: bigint;
  highWatermark: bigint;
  paused: boolean;
  abort: AbortController;
  roomWaiters: (() => void)[];
}

// Finished work behind one that hangs: so much may pile up before the partition waits.
const maxUncommitted = 20_000;
// How long a fetch waits for room before its partition is paused: long enough for quick handlers, so that they never
// pay for a pause, and short enough not to hold up other partitions.
const roomWaitMs = 50;

/** From fetched records to work in hand and back to commits; knows partitions and generations, not what work is. */
export function startIntake(options: IntakeOptions): Intake {
  const { kafka, groupId, topics, retryTopics, settings, onWork, metrics, logger } = options;
  const partitions = new Map<string, Partition>();
  let paused = false;
  let closed = false;
  let joined = false;
  let fetching = false;
  let inHand = 0;
  let committing: Promise<void> | undefined;

  const idOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`;

  const drop = (partition: Partition) => {
    partition.abort.abort();
    for (const entry of partition.entries.values()) dropEntry(partition, entry);
    wakeWaiters(partition);
  };
  const dropEntry = (partition: Partition, entry: Entry) => {
    if (entry.state === "waiting") {
      clearTimeout(entry.timer);
      partition.unfinished -= 1;
    }
    if (entry.state === "waiting" || entry.state === "open") entry.state = "dropped";
  };

  const hasRoom = ({ unfinished, tracker }: Partition) =>
    unfinished < settings.maxBuffered && (tracker === undefined || tracker.size() < maxUncommitted);
  const wakeWaiters = (partition: Partition) => {
    const waiters = partition.roomWaiters;
    partition.roomWaiters = [];
    for (const wake of waiters) wake();
  };
  const applyPause = (partition: Partition) => {
    const wanted = paused || closed || !hasRoom(partition);
    // Resumed at half, so that it does not flap.
    if (!wanted && partition.paused && partition.unfinished > settings.maxBuffered / 2) return;
    if (wanted === partition.paused) return;
    partition.paused = wanted;
    supervisor.current()?.setPaused([partition], wanted);
  };

  const finish = (partition: Partition, entry: Entry) => {
    inHand -= 1;
    const { state } = entry;
    entry.state = "finished";
    partition.unfinished -= 1;
    if (state === "open") partition.tracker?.finish(entry.offset);
    if (partition.unfinished * 2 <= settings.maxBuffered) wakeWaiters(partition);
    if (partition.paused) applyPause(partition);
  };

  const hand = (partition: Partition, entry: Entry, record: RawRecord, isCopy: boolean) => {
    entry.state = "open";
    inHand += 1;
    onWork({
      record,
      isCopy,
      signal: partition.abort.signal,
      isDropped: () => entry.state === "dropped",
      finish: () => finish(partition, entry),
    });
  };

  const take = (partition: Partition, record: RawRecord, isCopy: boolean) => {
    const entry: Entry = { offset: record.offset, state: "waiting", timer: undefined };
    partition.entries.set(record.offset, entry);
    partition.unfinished += 1;
    const waitMs = isCopy ? (findDueAtMs(record) ?? 0) - Date.now() : 0;
    if (waitMs <= 0) hand(partition, entry, record, isCopy);
    else entry.timer = setTimeout(() => hand(partition, entry, record, isCopy), Math.min(waitMs, 2 ** 31 - 1));
  };

  const openTracker = (partition: Partition, fetchedOffset: bigint) => {
    const tracker = makeOffsetTracker(fetchedOffset);
    partition.tracker = tracker;
    partition.committed = fetchedOffset;
    for (const [offset, entry] of partition.entries) {
      // Committed by whoever had the partition meanwhile, or a log that begins anew.
      if (offset < fetchedOffset) {
        dropEntry(partition, entry);
        partition.entries.delete(offset);
      }
    }
    return tracker;
  };

  const batch = async ({
    topic,
    partition: number,
    fetchedOffset,
    nextOffset,
    highWatermark,
    records,
  }: FetchedBatch) => {
    const partition = partitions.get(idOf({ topic, partition: number }));
    if (partition === undefined || closed) return;
    let tracker = partition.tracker;
    if (tracker !== undefined && fetchedOffset < tracker.frontier()) {
      logger.warn({ topic, partition: number }, "the log was reset, reading it from its start");
      for (const entry of partition.entries.values()) dropEntry(partition, entry);
      partition.entries.clear();
      tracker = undefined;
    }
    tracker ??= openTracker(partition, fetchedOffset);
    partition.highWatermark = highWatermark;
    const isCopy = retryTopics.has(topic);
    for (const record of records) {
      if (!tracker.track(record.offset)) continue;
      const known = partition.entries.get(record.offset);
      if (known === undefined) take(partition, record, isCopy);
      else if (known.state === "finished") tracker.finish(record.offset);
    }
    tracker.skipTo(nextOffset);
    if (!hasRoom(partition)) await roomOrTimeout(partition);
    applyPause(partition);
  };

  const assigned = (now: TopicPartition[]) => {
    joined = true;
    const wanted = new Set(now.map(idOf));
    for (const [id, partition] of partitions) {
      if (wanted.has(id)) {
        partition.tracker = undefined;
        continue;
      }
      partitions.delete(id);
      drop(partition);
      metrics.lag(partition, 0);
    }
    for (const target of now) {
      if (!partitions.has(idOf(target))) partitions.set(idOf(target), makePartition(target));
    }
    // kafkajs keeps pauses through a rejoin and loses them with a new client: say it all again.
    const all = [...partitions.values()];
    for (const partition of all) partition.paused = paused || closed || !hasRoom(partition);
    const current = supervisor.current();
    current?.setPaused(
      all.filter((partition) => !partition.paused),
      false,
    );
    current?.setPaused(
      all.filter((partition) => partition.paused),
      true,
    );
    logger.info({ partitions: wanted.size }, "partitions assigned");
  };

  /** Only at the start of a macrotask, or while `rebalancing` is told (see Loop.commit). */
  const commit = (): Promise<void> => {
    if (committing !== undefined) return committing;
    const due: (OffsetToCommit & { state: Partition })[] = [];
    for (const state of partitions.values()) {
      const frontier = state.tracker?.frontier();
      if (frontier === undefined) continue;
      metrics.lag(state, Number(state.highWatermark - frontier));
      if (frontier > state.committed)
        due.push({ topic: state.topic, partition: state.partition, offset: frontier, state });
    }
    const session = supervisor.current();
    if (due.length === 0 || session === undefined) return Promise.resolve();
    const trackers = due.map(({ state }) => state.tracker);
    committing = session
      .commit(due)
      .then((taken) => {
        if (!taken) return;
        for (const [index, { state, offset }] of due.entries()) {
          if (state.tracker !== trackers[index]) continue;
          state.committed = offset;
          for (const key of state.entries.keys()) {
            if (key >= offset) break;
            state.entries.delete(key);
          }
        }
      })
      .catch((error: unknown) => logger.debug({ err: error }, "commit failed, it is tried again"))
      .finally(() => {
        committing = undefined;
      });
    return committing;
  };
  const commitTimer = setInterval(() => void commit(), settings.commitIntervalMs);

  const supervisor = supervise<Loop>({
    name: groupId,
    start: () =>
      startLoop({
        kafka,
        groupId,
        topics,
        settings,
        logger,
        events: {
          assigned,
          batch,
          rebalancing: () => void commit(),
          fetched() {
            fetching = true;
            supervisor.alive();
          },
        },
      }),
    onEnded() {
      joined = false;
      fetching = false;
      // In-hand work goes on; without a generation nothing of it can be committed.
      for (const partition of partitions.values()) {
        partition.tracker = undefined;
        wakeWaiters(partition);
      }
      metrics.restarted();
    },
    isOutage: isKafkaOutage,
    backoff: { baseMs: 200, maxMs: 5_000 },
    random: Math.random,
    logger,
  });

  return {
    setPaused(value) {
      paused = value;
      for (const partition of partitions.values()) applyPause(partition);
    },
    inHand: () => inHand,
    close() {
      closed = true;
      for (const partition of partitions.values()) {
        for (const entry of partition.entries.values()) clearTimeout(entry.timer);
        wakeWaiters(partition);
        applyPause(partition);
      }
    },
    abort() {
      for (const partition of partitions.values()) partition.abort.abort();
    },
    async stop() {
      clearInterval(commitTimer);
      await committing;
      await new Promise((resolve) => setImmediate(resolve));
      await commit();
      for (const partition of partitions.values()) metrics.lag(partition, 0);
      await supervisor.stop();
    },
    health: () => ({
      assigned: [...partitions.values()].map(({ topic, partition }) => ({ topic, partition })),
      restarts: supervisor.restarts(),
      joined,
      fetching,
      ...supervisor.lastError(),
    }),
    failed: supervisor.failed,
  };
}

function makePartition({ topic, partition }: TopicPartition): Partition {
  return {
    topic,
    partition,
    tracker: undefined,
    entries: new Map(),
    unfinished: 0,
    committed: 0n,
    highWatermark: 0n,
    paused: false,
    abort: new AbortController(),
    roomWaiters: [],
  };
}

function roomOrTimeout(partition: Partition): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, roomWaitMs);
    partition.roomWaiters.push(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
