import { makeLogger } from "@pricing-engine/chassis/log";
import { eventually, infra } from "@pricing-engine/testkit";
import { describe, expect, it } from "vitest";
import { runBatchConsumer } from "../src/index.ts";
import { readTopic } from "../src/topic-reader.ts";
import { isRunning, makeBench, numberOf, Outage } from "./support/bench.ts";

describe("batch consumer on a real broker", () => {
  it("hands over micro-batches in order and commits them", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 2 });
    const byPartition = new Map<number, bigint[]>();
    const sizes: number[] = [];
    const consumer = runBatchConsumer({
      ...bench.common,
      maxBatchRecords: 50,
      async handle({ partition, messages }) {
        sizes.push(messages.length);
        byPartition.set(partition, [...(byPartition.get(partition) ?? []), ...messages.map(({ offset }) => offset)]);
      },
    });
    await isRunning(consumer);
    await bench.publish(500);
    await eventually(async () => expect(await bench.lag()).toBe(0));
    await consumer.stop();
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(500);
    expect(Math.max(...sizes)).toBeGreaterThan(1);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(50);
    for (const offsets of byPartition.values()) expect(offsets).toEqual(offsets.map((_, index) => BigInt(index)));
  });

  it.each([true, false])("tells of each message in the log: %s", async (logHandled) => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 1 });
    const lines: { msg: string; key: string; traceId: string }[] = [];
    const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
    const consumer = runBatchConsumer({
      ...bench.common,
      logger: makeLogger({ name: "told", destination }),
      logHandled,
      handle: async () => undefined,
    });
    await isRunning(consumer);
    const traceId = "a".repeat(32);
    const headers = { traceparent: `00-${traceId}-${"b".repeat(16)}-01` };
    await bench.producer.send({ topic: bench.topic, key: "k", value: "1", headers });
    await bench.producer.send({ topic: bench.topic, key: "l", value: "2" });
    await eventually(async () => expect(await bench.lag()).toBe(0));
    await consumer.stop();
    const told = lines.filter(({ msg }) => msg === "message handled");
    expect(told.map(({ key }) => key)).toEqual(logHandled ? ["k", "l"] : []);
    expect(told[0]?.traceId).toBe(logHandled ? traceId : undefined);
  });

  it("lets a trickle gather between two fetches", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 1 });
    const startedMs: number[] = [];
    let handled = 0;
    const consumer = runBatchConsumer({
      ...bench.common,
      fetchSpacingMs: 100,
      // A fetch is one batch, however much a quick publisher got into it.
      maxBatchRecords: 1_000,
      async handle({ messages }) {
        startedMs.push(performance.now());
        handled += messages.length;
      },
    });
    await isRunning(consumer);
    // One batch beforehand, so that nothing is slow for being the first.
    await bench.publish(1);
    await eventually(() => expect(handled).toBe(1));
    const beganMs = performance.now();
    let sent = 1;
    for (; startedMs.length < 7; sent += 2) await bench.publish(2);
    await eventually(() => expect(handled).toBe(sent));
    await consumer.stop();
    expect(sent).toBeGreaterThan(startedMs.length);
    // Six batches: the first was fetched after we began, and there are five times from a fetch to the next one. However late a batch is
    // handed over, this is the least; a timer may count two milliseconds less.
    expect((startedMs[6] ?? 0) - beganMs).toBeGreaterThan(490);
  });

  it("finds the message at fault, and waits out an outage without counting", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 1 });
    await bench.publish(20);
    const done = new Set<number>();
    const attempts: number[] = [];
    let outages = 3;
    const consumer = runBatchConsumer({
      ...bench.common,
      async handle({ messages }) {
        if (outages > 0) {
          outages -= 1;
          throw new Outage("away");
        }
        for (const message of messages) {
          if (numberOf(message) === 7) {
            if (messages.length === 1) attempts.push(message.attempt);
            throw new Error("seven");
          }
        }
        for (const message of messages) done.add(numberOf(message));
      },
    });
    await eventually(() => expect(attempts).toEqual([1, 2, 3]));
    await eventually(async () => expect(await bench.lag()).toBe(0));
    expect(done.size).toBe(19);
    await eventually(async () => expect(await readTopic(bench.kafka, `${bench.topic}.worker.dlq`)).toHaveLength(1));
    await consumer.stop();
  });
});
