import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "@pricing-engine/chassis/log";
import type { Consumer as Client, EachBatchPayload } from "kafkajs";
import { bySubscription } from "./assigner.ts";
import type { Settings } from "./consumer-options.ts";
import type { Kafka } from "./kafka.ts";
import type { RawRecord } from "./message.ts";
import { rootCause } from "./outage.ts";
import type { Session, SessionEnd } from "./supervisor.ts";

export interface TopicPartition {
  topic: string;
  partition: number;
}

export interface OffsetToCommit extends TopicPartition {
  /** The next offset that the group has to read. */
  offset: bigint;
}

export interface FetchedBatch extends TopicPartition {
  /** Where the fetch began: in the first batch after a join, the group's committed offset. */
  fetchedOffset: bigint;
  /** Where the next fetch begins. */
  nextOffset: bigint;
  highWatermark: bigint;
  records: RawRecord[];
}

interface LoopEvents {
  /** This member's partitions in a new generation; what was in hand of others is no longer its own. */
  assigned(partitions: TopicPartition[]): void;
  /** The generation ends: what is committed synchronously in here still counts. */
  rebalancing(): void;
  /** Must return soon: heartbeats wait for it. */
  batch(batch: FetchedBatch): Promise<void>;
  /** The loop is alive: a fetch came back. */
  fetched(): void;
}

export interface LoopOptions {
  kafka: Kafka;
  groupId: string;
  topics: string[];
  settings: Settings;
  events: LoopEvents;
  logger: Logger;
}

/** One life of a kafkajs consumer. */
export interface Loop extends Session {
  /**
   * Sends a commit of this generation; true once the broker took it, false when this member is fenced.
   * Must be called at the start of a macrotask or inside `rebalancing`: between a rejoin and our hearing of it lie only
   * microtasks, and an offset of the last generation must not go out under the number of the new one.
   */
  commit(offsets: OffsetToCommit[]): Promise<boolean>;
  setPaused(partitions: TopicPartition[], paused: boolean): void;
}

const fencedTypes = new Set(["ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID", "REBALANCE_IN_PROGRESS", "FENCED_INSTANCE_ID"]);

/**
 * Runs kafkajs so that its weak spots cannot hurt: batches are handed over at once (so heartbeats never depend on a
 * handler), it commits nothing by itself, and it never restarts itself: whoever supervises makes a new one.
 */
export function startLoop({ kafka, groupId, topics, settings, events, logger }: LoopOptions): Loop {
  const { sessionTimeoutMs, rebalanceTimeoutMs, heartbeatIntervalMs, maxWaitMs, fetchSpacingMs, watchdogMs } = settings;
  const client = kafka.client.consumer({
    groupId,
    partitionAssigners: [bySubscription],
    sessionTimeout: sessionTimeoutMs,
    rebalanceTimeout: rebalanceTimeoutMs,
    heartbeatInterval: heartbeatIntervalMs,
    maxWaitTimeInMs: maxWaitMs,
    maxBytesPerPartition: 256 * 1024,
    maxBytes: 4 * 1024 * 1024,
    metadataMaxAge: 60_000,
    allowAutoTopicCreation: false,
    retry: { retries: 5, initialRetryTime: 100, maxRetryTime: 2_000, restartOnFailure: async () => false },
  });
  const ended = Promise.withResolvers<SessionEnd>();
  let over = false;
  let lastAliveMs = Date.now();
  let fetchedMs = 0;
  let sendCommit: EachBatchPayload["commitOffsetsIfNecessary"] | undefined;
  let joins = 0;
  let announced = false;
  const nodes = new Set<string>();

  const end = (reason: SessionEnd) => {
    if (over) return;
    over = true;
    clearInterval(watchdog);
    ended.resolve(reason);
  };
  const alive = () => {
    lastAliveMs = Date.now();
    // Given up on, but it moves again: it must not hold partitions that nobody works on.
    if (over) void disconnect(client);
  };
  const watchdog = setInterval(
    () => {
      const silentMs = Date.now() - lastAliveMs;
      if (silentMs > watchdogMs)
        end({ kind: "stalled", error: new Error(`no fetch and no heartbeat for ${silentMs} ms`) });
    },
    Math.max(50, watchdogMs / 4),
  );

  client.on(client.events.CRASH, ({ payload }) => end({ kind: "crashed", error: rootCause(payload.error) }));
  client.on(client.events.HEARTBEAT, alive);
  client.on(client.events.FETCH_START, ({ payload }) => void nodes.add(String(payload.nodeId)));
  client.on(client.events.FETCH, () => {
    fetchedMs = performance.now();
    alive();
    if (!over) events.fetched();
  });
  client.on(client.events.REBALANCING, () => {
    announced = true;
    if (!over) events.rebalancing();
  });
  client.on(client.events.GROUP_JOIN, ({ payload }) => {
    alive();
    if (over) return;
    joins += 1;
    // Joined from within a fetch (new metadata): the fetches of other brokers still run with positions of the last
    // generation and would leave a gap. With one broker there are none.
    if (joins > 1 && !announced && nodes.size > 1) {
      end({ kind: "crashed", error: new Error("rejoined while other fetches were under way") });
      return;
    }
    announced = false;
    events.assigned(
      Object.entries(payload.memberAssignment).flatMap(([topic, partitions]) =>
        partitions.map((partition) => ({ topic, partition })),
      ),
    );
  });

  const eachBatch = async ({ batch, resolveOffset, commitOffsetsIfNecessary }: EachBatchPayload) => {
    if (over) throw new Error("this consumer was given up on");
    sendCommit = commitOffsetsIfNecessary;
    const { topic, partition } = batch;
    const nextOffset = BigInt(batch.lastOffset()) + 1n;
    resolveOffset(batch.lastOffset());
    await events.batch({
      topic,
      partition,
      fetchedOffset: fetchedOffsetOf(batch),
      nextOffset,
      highWatermark: BigInt(batch.highWatermark),
      records: batch.messages.map((message) => ({
        topic,
        partition,
        offset: BigInt(message.offset),
        key: message.key,
        value: message.value,
        headers: message.headers ?? {},
        timestampMs: Number(message.timestamp),
      })),
    });
    // The next fetch waits for the batches of this one.
    const restMs = fetchedMs + fetchSpacingMs - performance.now();
    if (restMs > 0) await delay(restMs);
  };

  const start = async () => {
    await client.connect();
    await client.subscribe({ topics, fromBeginning: true });
    await client.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: 16,
      eachBatch,
    });
  };
  start().catch((error: unknown) => end({ kind: "crashed", error: rootCause(error) }));

  return {
    ended: ended.promise,
    async commit(offsets) {
      if (over || sendCommit === undefined) return false;
      const byTopic = Map.groupBy(offsets, ({ topic }) => topic);
      const payload = [...byTopic].map(([topic, group]) => ({
        topic,
        partitions: group.map(({ partition, offset }) => ({ partition, offset: offset.toString() })),
      }));
      try {
        await sendCommit({ topics: payload });
        return true;
      } catch (error) {
        const cause = rootCause(error);
        const type = cause instanceof Error && "type" in cause ? String(cause.type) : "";
        if (!fencedTypes.has(type)) throw cause;
        logger.debug({ groupId, type }, "commit refused: the generation is over");
        return false;
      }
    },
    setPaused(partitions, paused) {
      if (over || partitions.length === 0) return;
      const request = partitions.map(({ topic, partition }) => ({ topic, partitions: [partition] }));
      try {
        if (paused) client.pause(request);
        else client.resume(request);
      } catch {
        // Between two lives there is nothing to pause; the next assignment starts unpaused.
      }
    },
    async close() {
      end({ kind: "stopped" });
      await disconnect(client);
    },
  };
}

/** Bounded: a consumer that hangs is left behind; if it ever moves again, it is disconnected again. */
async function disconnect(client: Client): Promise<void> {
  const timer = Promise.withResolvers<void>();
  const timeout = setTimeout(timer.resolve, 5_000);
  await Promise.race([client.disconnect().catch(() => undefined), timer.promise]);
  clearTimeout(timeout);
}

function fetchedOffsetOf(batch: EachBatchPayload["batch"]): bigint {
  // kafkajs has it on every batch and leaves it out of its types.
  if ("fetchedOffset" in batch) return BigInt(String(batch.fetchedOffset));
  return BigInt(batch.firstOffset() ?? batch.lastOffset());
}
