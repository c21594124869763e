import { makeLogger } from "@pricing-engine/chassis/log";
import { eventually, makeTestPrefix } from "@pricing-engine/testkit";
import type { CommonOptions } from "../../src/consumer-options.ts";
import {
  type Consumer,
  type ConsumerOptions,
  type Kafka,
  type KafkaAdmin,
  type Message,
  makeKafka,
  makeKafkaAdmin,
  makeProducer,
  type Producer,
  runConsumer,
  withGroupTopics,
} from "../../src/index.ts";

export interface Bench extends AsyncDisposable {
  kafka: Kafka;
  admin: KafkaAdmin;
  producer: Producer;
  prefix: string;
  topic: string;
  groupId: string;
  /** What consumers of this bench take, with short waits. */
  common: Omit<CommonOptions, "isOutage"> & { isOutage(error: unknown): boolean };
  consume(options: Partial<ConsumerOptions> & Pick<ConsumerOptions, "handle">): Consumer;
  /** `count` messages, keys `k0…`, values `0…`. */
  publish(count: number, keys?: number): Promise<void>;
  lag(): Promise<number>;
}

export class Outage extends Error {}

/** A topic and a group of its own on the broker; gone with everything it started when it is disposed of. */
export async function makeBench(brokers: string, { partitions = 3, keepTopics = false } = {}): Promise<Bench> {
  const logger = makeLogger({ name: "kafka-test", level: process.env.TEST_LOG === "1" ? "debug" : "silent" });
  const kafka = makeKafka({ brokers: [brokers], clientId: "kafka-test", logger, requestTimeoutMs: 3_000 });
  const admin = makeKafkaAdmin({ kafka });
  const producer = makeProducer({ kafka });
  const prefix = makeTestPrefix();
  const topic = `${prefix}things`;
  const groupId = `${prefix}worker`;
  const specs = withGroupTopics({ topic, partitions, replicationFactor: 1, keep: "forever" }, [groupId]);
  await admin.ensureTopics(specs);
  const consumers: Consumer[] = [];
  const common = {
    kafka,
    producer,
    groupId,
    topics: [topic],
    logger,
    isOutage: (error: unknown) => error instanceof Outage,
    // Long enough that a busy machine costs nobody its session: a test that counts deliveries must not see a rebalance.
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 3_000,
    heartbeatIntervalMs: 200,
    maxWaitMs: 100,
    commitIntervalMs: 50,
    outageBackoff: { baseMs: 20, maxMs: 100 },
    retry: { attempts: 3, baseMs: 50, maxMs: 200 },
    stopTimeoutMs: 3_000,
  };
  return {
    kafka,
    admin,
    producer,
    prefix,
    topic,
    groupId,
    common,
    consume(options) {
      const consumer = runConsumer({ ...common, ...options });
      consumers.push(consumer);
      return consumer;
    },
    async publish(count, keys = count) {
      await Promise.all(
        Array.from({ length: count }, (_, index) =>
          producer.send({ topic, key: `k${index % keys}`, value: String(index) }),
        ),
      );
    },
    async lag() {
      return Number((await admin.groupLag(groupId, [topic])).total);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(consumers.map((consumer) => consumer.stop()));
      if (!keepTopics) await admin.deleteTopics(specs.map((spec) => spec.topic));
      await producer.close();
      await admin.close();
    },
  };
}

export function numberOf({ value }: Message): number {
  return Number(value.toString("utf8"));
}

export function isRunning(consumer: Consumer, partitions?: number): Promise<unknown> {
  return eventually(
    () => {
      const { state, assigned } = consumer.health();
      const own = assigned.filter(({ topic }) => topic.endsWith("things"));
      return state === "running" && (partitions === undefined ? own.length > 0 : own.length === partitions);
    },
    { timeoutMs: 20_000 },
  );
}

/** A promise that others wait for. */
export function makeLatch() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: () => resolve() };
}

/** For what must hold while time passes (a session that must outlive its time-out): there is no condition to await. */
export function elapse(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
