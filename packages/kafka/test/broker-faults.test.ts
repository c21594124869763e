import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError } from "@pricing-engine/chassis/errors";
import { type Infra, startInfra } from "@pricing-engine/hack/infra";
import { eventually } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { makeKafka, makeProducer } from "../src/index.ts";
import { readTopic } from "../src/topic-reader.ts";
import { elapse, isRunning, makeBench, numberOf } from "./support/bench.ts";

const pidFile = z.object({ pid: z.number() });

describe("a broker that fails", { timeout: 300_000 }, () => {
  let infra: Infra<"kafka">;
  let brokers: string;
  const dir = mkdtempSync(join(tmpdir(), "pricing-engine-kafka-"));

  beforeAll(async () => {
    const log = () => {};
    infra = await startInfra({
      dir,
      services: ["kafka"],
      ports: "random",
      mode: "native",
      lifetime: "session",
      ephemeral: true,
      log,
    });
    brokers = infra.endpoints.kafkaBrokers;
  });
  afterAll(() => infra.stop());

  const brokerPid = () => pidFile.parse(JSON.parse(readFileSync(join(dir, "kafka.pid"), "utf8"))).pid;

  it("restarted under load: what was acknowledged is handled, the loop comes back by itself", async () => {
    await using bench = await makeBench(brokers);
    const seen = new Set<number>();
    const consumer = bench.consume({ handle: async (message) => void seen.add(numberOf(message)) });
    await isRunning(consumer);
    const acknowledged = new Set<number>();
    let next = 0;
    let publishing = true;
    const publishers = Array.from({ length: 8 }, async () => {
      while (publishing) {
        const value = next;
        next += 1;
        await bench.producer.send({ topic: bench.topic, key: `k${value}`, value: String(value) });
        acknowledged.add(value);
      }
    });
    await eventually(() => expect(seen.size).toBeGreaterThan(100));
    await infra.restart("kafka");
    const atRestart = acknowledged.size;
    await eventually(() => expect(acknowledged.size).toBeGreaterThan(atRestart + 100), { timeoutMs: 30_000 });
    publishing = false;
    await Promise.all(publishers);
    await eventually(() => expect([...acknowledged].filter((value) => !seen.has(value))).toEqual([]), {
      timeoutMs: 30_000,
    });
    await eventually(async () => expect(await bench.lag()).toBe(0), { timeoutMs: 30_000 });
    await isRunning(consumer);
  });

  it("killed: consumers started while it is away join once it is there, and wait until then", async () => {
    await using bench = await makeBench(brokers);
    await bench.publish(5);
    await infra.kill("kafka");
    const seen: number[] = [];
    const consumer = bench.consume({ handle: async (message) => void seen.push(numberOf(message)) });
    await eventually(() => expect(consumer.health()).toMatchObject({ ready: false, state: "restarting" }), {
      timeoutMs: 20_000,
    });
    expect(consumer.health().reason).toBeTruthy();
    await infra.restart("kafka");
    await eventually(() => expect(seen.toSorted()).toEqual([0, 1, 2, 3, 4]), { timeoutMs: 60_000 });
  });

  it("killed for good: a publish that reached nobody is certainly not written", async () => {
    await using bench = await makeBench(brokers);
    const producer = makeProducer({ kafka: bench.kafka, deliveryTimeoutMs: 1_000 });
    await producer.send({ topic: bench.topic, key: "k", value: "0" });
    await infra.kill("kafka");
    // The first attempt may meet the dying connection; after that there is nobody to connect to.
    await producer.send({ topic: bench.topic, key: "k", value: "1" }).catch(() => undefined);
    const refused = await producer.send({ topic: bench.topic, key: "k", value: "2" }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(AppError);
    expect(refused).toMatchObject({ code: "kafka_unavailable", retryable: true });
    await infra.restart("kafka");
    await eventually(() => producer.send({ topic: bench.topic, key: "k", value: "3" }));
    await producer.close();
    const values = (await readTopic(bench.kafka, bench.topic)).map(({ value }) => value?.toString());
    expect(values).toContain("3");
    expect(values).not.toContain("2");
  });

  it("killed with a record in hand: whether it is written is not known, also when nobody is there afterwards", async () => {
    await using bench = await makeBench(brokers);
    const producer = makeProducer({ kafka: bench.kafka, deliveryTimeoutMs: 1_000 });
    await producer.send({ topic: bench.topic, key: "k", value: "0" });
    process.kill(brokerPid(), "SIGSTOP");
    const inHand = producer.send({ topic: bench.topic, key: "k", value: "1" }).catch((error: unknown) => error);
    // Long enough to be sent, and not to be given up.
    await elapse(1_000);
    await infra.kill("kafka");
    expect(await inHand).toMatchObject({ code: "publish_unknown" });
    await infra.restart("kafka");
    await eventually(() => producer.send({ topic: bench.topic, key: "k", value: "2" }));
    await producer.close();
  });

  it("silent: a publish without an answer has an unknown outcome, and the loop survives the silence", async () => {
    await using bench = await makeBench(brokers, { partitions: 1 });
    const producer = makeProducer({ kafka: bench.kafka, deliveryTimeoutMs: 1_000 });
    const seen: number[] = [];
    const consumer = bench.consume({ handle: async (message) => void seen.push(numberOf(message)) });
    await isRunning(consumer);
    await producer.send({ topic: bench.topic, key: "k", value: "0" });
    await eventually(() => expect(seen).toEqual([0]));
    const pid = brokerPid();
    process.kill(pid, "SIGSTOP");
    try {
      const failure = await producer
        .send({ topic: bench.topic, key: "k", value: "1" })
        .catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: "publish_unknown", retryable: true });
      await elapse(3_000);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await eventually(() => producer.send({ topic: bench.topic, key: "k", value: "2" }));
    await eventually(() => expect(seen).toContain(2), { timeoutMs: 30_000 });
    // Unknown means just that: here the broker had the request and wrote it when it woke up.
    await eventually(() => expect(new Set(seen)).toEqual(new Set([0, 1, 2])));
    await isRunning(consumer);
    await producer.close();
  });

  it("silent for longer than any time-out of the client: the watchdog replaces the loop", async () => {
    await using bench = await makeBench(brokers, { partitions: 1 });
    // With so long a time-out kafkajs itself notices nothing.
    const patient = makeKafka({
      brokers: [brokers],
      clientId: "patient",
      logger: bench.kafka.logger,
      requestTimeoutMs: 300_000,
    });
    const seen: number[] = [];
    const consumer = bench.consume({
      kafka: patient,
      watchdogMs: 1_500,
      handle: async (message) => void seen.push(numberOf(message)),
    });
    await isRunning(consumer);
    const pid = brokerPid();
    process.kill(pid, "SIGSTOP");
    try {
      await eventually(() => expect(consumer.health()).toMatchObject({ ready: false, state: "restarting" }));
      expect(consumer.health().reason).toContain("no fetch and no heartbeat");
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await bench.publish(3);
    await eventually(() => expect(seen).toHaveLength(3), { timeoutMs: 40_000 });
    expect(consumer.health().restarts).toBeGreaterThan(0);
  });
});
