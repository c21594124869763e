import { setTimeout as delay } from "node:timers/promises";
import { AppError } from "@pricing-engine/chassis/errors";
import { injectHeaders } from "@pricing-engine/chassis/telemetry";
import kafkajs from "kafkajs";
import { backoffMs } from "./backoff.ts";
import type { Kafka } from "./kafka.ts";
import type { RawHeaders } from "./message.ts";
import { protocolErrorType } from "./outage.ts";
import { isPermanent, publishError, wroteNothing } from "./publish-errors.ts";
import { makeRenewable } from "./renewable.ts";

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

interface Client {
  readonly client: kafkajs.Producer;
  connected: Promise<void> | undefined;
  /** A request of it had no answer in time. */
  isHanging: boolean;
}

/** patches/kafkajs calls it before anything is sent to any broker. */
interface Batched extends kafkajs.ProducerBatch {
  onSend(): void;
}

interface Failure {
  readonly error: unknown;
  readonly mayBeWritten: boolean;
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
  const clients = makeRenewable(
    () => openClient(kafka, (message, partition) => partitionOf.set(message, partition)),
    ({ client }) => client.disconnect(),
  );
  // Where each record went last.
  const partitionOf = new WeakMap<object, number>();
  let collecting: Batch | undefined;
  const underWay = new Set<Promise<void>>();
  const closing = new AbortController();
  let bufferedBytes = 0;
  let closed = false;

  const attemptOnce = (topics: Topics): Promise<Failure | undefined> =>
    clients.use(async (own, abandon) => {
      let isSent = false;
      const batch: Batched = {
        acks: -1,
        timeout: 10_000,
        topicMessages: topics.map(([topic, records]) => ({ topic, messages: records.map(({ message }) => message) })),
        onSend: () => {
          isSent = true;
        },
      };
      try {
        await connect(own);
        await own.client.sendBatch(batch);
      } catch (error) {
        // When a broker's node is gone nobody tells, and kafkajs would go on with the connection until the kernel gives up, a quarter of an hour.
        // One that was opened meanwhile may be of no use for ever. So only a broker that says something is asked again on the same.
        if (own.isHanging || protocolErrorType(error) === undefined) abandon();
        return { error, mayBeWritten: isSent && !wroteNothing(error, countPartitions(topics)) };
      }
      // Without it nothing could be told of a failure.
      if (!isSent) throw new Error("this kafkajs does not say when it sends: it is not patched");
      for (const [, records] of topics) for (const record of records) record.resolve();
      return undefined;
    });

  const countPartitions = (topics: Topics): number =>
    new Set(
      topics.flatMap(([topic, records]) => records.map(({ message }) => `${topic}/${partitionOf.get(message) ?? ""}`)),
    ).size;

  /** The topics of a batch go together once; when that fails, each is tried on its own, so that one that is missing holds up no other. */
  const deliverAll = async (topics: Topics) => {
    const deadline = performance.now() + deliveryTimeoutMs;
    let unknown = false;
    if (topics.length > 1) {
      const failure = await attemptOnce(topics);
      if (failure === undefined) return;
      unknown = failure.mayBeWritten;
    }
    await Promise.all(topics.map((topic) => deliver(topic, deadline, unknown)));
  };

  const deliver = async (batch: Topics[number], deadline: number, isUnknown: boolean) => {
    const [topic, records] = batch;
    let unknown = isUnknown;
    for (let attempt = 1; ; attempt += 1) {
      const failure = await attemptOnce([batch]);
      if (failure === undefined) return;
      const { error, mayBeWritten } = failure;
      unknown ||= mayBeWritten;
      const waitMs = backoffMs(attempt, retryBackoff, Math.random());
      if (isPermanent(error) || performance.now() + waitMs > deadline || closing.signal.aborted) {
        const rejection = publishError(topic, error, unknown);
        for (const record of records) record.reject(rejection);
        return;
      }
      await delay(waitMs, undefined, { signal: closing.signal }).catch(() => undefined);
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
      await clients.close();
    },
  };
}

function openClient(kafka: Kafka, onPlaced: (message: object, partition: number) => void): Client {
  const client = kafka.client.producer({
    idempotent: false,
    allowAutoTopicCreation: false,
    createPartitioner: () => {
      const partitioner = kafkajs.Partitioners.DefaultPartitioner();
      return (choice) => {
        const partition = partitioner(choice);
        onPlaced(choice.message, partition);
        return partition;
      };
    },
    metadataMaxAge: 60_000,
    // Retries are made by the producer: there every attempt's outcome is known.
    retry: { retries: 0 },
  });
  const own: Client = { client, connected: undefined, isHanging: false };
  client.on(client.events.REQUEST_TIMEOUT, () => {
    own.isHanging = true;
  });
  return own;
}

function connect(own: Client): Promise<void> {
  own.connected ??= own.client.connect().catch((error: unknown) => {
    own.connected = undefined;
    throw error;
  });
  return own.connected;
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
