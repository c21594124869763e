import { setTimeout as delay } from "node:timers/promises";
import { AppError } from "@pricing-engine/chassis/errors";
import { injectHeaders } from "@pricing-engine/chassis/telemetry";
import kafkajs from "kafkajs";
import { backoffMs } from "./backoff.ts";
import type { Kafka } from "./kafka.ts";
import type { RawHeaders } from "./message.ts";
import { isPermanent, publishError, wroteNothing } from "./publish-errors.ts";

export interface ProducerOptions {
  kafka: Kafka;
  /**
   * How long the first record of a batch waits at most while two others are under way; default 5. It goes as soon as one of those ends,
   * and where there are fewer, or with 0, when the current turn ends.
   */
  lingerMs?: number;
  /** A batch goes out at once when it has so many records. Default 1,000. */
  maxBatchRecords?: number;
  /** … or so many bytes. Default 512 KiB. */
  maxBatchBytes?: number;
  /** Bytes not yet acknowledged at which `send` refuses. Default 32 MiB. */
  maxBufferedBytes?: number;
  /** How long a record is tried before `send` rejects. Default 30,000. */
  deliveryTimeoutMs?: number;
}

export interface OutgoingMessage {
  topic: string;
  key: string | Buffer | null;
  /** null is a tombstone. */
  value: Buffer | string | null;
  headers?: RawHeaders;
  /** Default: by the hash of the key, as the Java client does it. */
  partition?: number;
}

export interface Producer {
  /**
   * Resolves once all in-sync replicas have the record. Rejects with an AppError: `kafka_unavailable` when it certainly
   * was not written, `publish_unknown` when it may have been, `payload_too_large`. Adds the current trace context to
   * the headers unless they have one. A record can be written twice when an answer was lost: consumers deduplicate.
   */
  send(message: OutgoingMessage): Promise<void>;
  /** Sends what waits, waits for what is under way, disconnects. */
  close(): Promise<void>;
}

interface Pending {
  message: {
    key: Buffer | string | null;
    value: Buffer | string | null;
    headers?: kafkajs.IHeaders;
    partition?: number;
  };
  bytes: number;
  resolve(): void;
  reject(error: unknown): void;
}

interface Batch {
  topics: Map<string, Pending[]>;
  records: number;
  bytes: number;
  timer?: NodeJS.Timeout;
}

type Topics = readonly (readonly [topic: string, records: readonly Pending[]])[];

// Dead letters carry a record as large as a broker takes plus our headers; their topics allow 2 MiB.
const maxRecordBytes = 2 * 1024 * 1024 - 16 * 1024;
/*
 * A broker takes the requests of a connection one by one: one that waits at its door loses no time, and what comes while two are under way is
 * better one request than many that queue.
 */
const eagerBatches = 2;
const retryBackoff = { baseMs: 50, maxMs: 1_000 };

/**
 * Collects records for a moment and sends one request to each broker; as many requests as there are batches are under way
 * at once. kafkajs's idempotent producer would serialise them per broker, so it is not used.
 */
export function makeProducer(options: ProducerOptions): Producer {
  const { kafka, lingerMs = 5, maxBatchRecords = 1_000, maxBatchBytes = 512 * 1024 } = options;
  const { maxBufferedBytes = 32 * 1024 * 1024, deliveryTimeoutMs = 30_000 } = options;
  // Where each record goes; none before the topic's metadata was there.
  const partitionOf = new WeakMap<object, number>();
  const client = kafka.client.producer({
    idempotent: false,
    allowAutoTopicCreation: false,
    createPartitioner: () => {
      const partitioner = kafkajs.Partitioners.DefaultPartitioner();
      return (choice) => {
        const partition = partitioner(choice);
        partitionOf.set(choice.message, partition);
        return partition;
      };
    },
    metadataMaxAge: 60_000,
    // Retries are made below: there every attempt's outcome is known.
    retry: { retries: 0 },
  });
  let collecting: Batch | undefined;
  const underWay = new Set<Promise<void>>();
  const closing = new AbortController();
  let bufferedBytes = 0;
  let closed = false;
  let connected: Promise<void> | undefined;

  const connect = () => {
    connected ??= client.connect().catch((error: unknown) => {
      connected = undefined;
      throw error;
    });
    return connected;
  };

  const attemptOnce = async (topics: Topics) => {
    await connect();
    const topicMessages = topics.map(([topic, records]) => ({
      topic,
      messages: records.map(({ message }) => message),
    }));
    await client.sendBatch({ acks: -1, timeout: 10_000, topicMessages });
    for (const [, records] of topics) for (const record of records) record.resolve();
  };

  const mayHaveWritten = (error: unknown, topics: Topics): boolean => {
    const partitions = topics.flatMap(([topic, records]) =>
      records.flatMap(({ message }) => {
        const partition = partitionOf.get(message);
        return partition === undefined ? [] : `${topic}/${partition}`;
      }),
    );
    return !wroteNothing(error, new Set(partitions).size);
  };

  /** The topics of a batch go together once; when that fails, each is tried on its own, so that one that is missing holds up no other. */
  const deliverAll = async (topics: Topics) => {
    const deadline = performance.now() + deliveryTimeoutMs;
    let unknown = false;
    if (topics.length > 1) {
      try {
        await attemptOnce(topics);
        return;
      } catch (error) {
        unknown = mayHaveWritten(error, topics);
      }
    }
    await Promise.all(topics.map((topic) => deliver(topic, deadline, unknown)));
  };

  const deliver = async (batch: Topics[number], deadline: number, mayBeWritten: boolean) => {
    const [topic, records] = batch;
    let unknown = mayBeWritten;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await attemptOnce([batch]);
        return;
      } catch (error) {
        unknown ||= mayHaveWritten(error, [batch]);
        const waitMs = backoffMs(attempt, retryBackoff, Math.random());
        if (isPermanent(error) || performance.now() + waitMs > deadline || closing.signal.aborted) {
          const failure = publishError(topic, error, unknown);
          for (const record of records) record.reject(failure);
          return;
        }
        await delay(waitMs, undefined, { signal: closing.signal }).catch(() => undefined);
      }
    }
  };

  const flush = () => {
    if (collecting === undefined) return;
    const batch = collecting;
    collecting = undefined;
    clearTimeout(batch.timer);
    const delivery = deliverAll([...batch.topics]).finally(() => {
      bufferedBytes -= batch.bytes;
      underWay.delete(delivery);
      if (underWay.size < eagerBatches) flush();
    });
    underWay.add(delivery);
  };

  const collect = (topic: string, record: Pending) => {
    let batch = collecting;
    if (batch === undefined) {
      const opened: Batch = { topics: new Map(), records: 0, bytes: 0 };
      batch = opened;
      collecting = opened;
      const flushIfSame = () => {
        if (collecting === opened) flush();
      };
      if (lingerMs === 0 || underWay.size < eagerBatches) setImmediate(flushIfSame);
      else opened.timer = setTimeout(flushIfSame, lingerMs);
    }
    const records = batch.topics.get(topic);
    if (records === undefined) batch.topics.set(topic, [record]);
    else records.push(record);
    batch.records += 1;
    batch.bytes += record.bytes;
    bufferedBytes += record.bytes;
    if (batch.records >= maxBatchRecords || batch.bytes >= maxBatchBytes) flush();
  };

  return {
    async send({ topic, key, value, headers = {}, partition }) {
      if (closed) throw publishError(topic, new Error("the producer is closed"), false);
      const carried = "traceparent" in headers ? headers : withTrace(headers);
      const bytes = recordBytes(key, value, carried);
      if (bytes > maxRecordBytes) throw new AppError("payload_too_large", { context: { topic, bytes } });
      if (bufferedBytes + bytes > maxBufferedBytes) {
        throw publishError(topic, new Error("too many records wait for the broker"), false);
      }
      await new Promise<void>((resolve, reject) => {
        const message = { key, value, headers: carried, ...(partition === undefined ? {} : { partition }) };
        collect(topic, { message, bytes, resolve, reject });
      });
    },
    async close() {
      closed = true;
      flush();
      const giveUp = setTimeout(() => closing.abort(), 5_000);
      await Promise.all(underWay);
      clearTimeout(giveUp);
      if (connected !== undefined) await client.disconnect();
    },
  };
}

function withTrace(headers: RawHeaders): RawHeaders {
  const carrier: Record<string, string> = {};
  injectHeaders(carrier);
  return { ...headers, ...carrier };
}

function recordBytes(key: string | Buffer | null, value: string | Buffer | null, headers: RawHeaders): number {
  let bytes = 32 + sizeOf(key) + sizeOf(value);
  for (const [name, content] of Object.entries(headers)) {
    const values = Array.isArray(content) ? content : [content ?? null];
    for (const one of values) bytes += name.length + 8 + sizeOf(one);
  }
  return bytes;
}

function sizeOf(content: string | Buffer | null): number {
  return content === null ? 0 : Buffer.byteLength(content);
}
