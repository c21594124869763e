import { AppError } from "@pricing-engine/chassis/errors";
import { eventually, infra } from "@pricing-engine/testkit";
import { describe, expect, it } from "vitest";
import { type Message, makeDeadLetters } from "../src/index.ts";
import { readTopic } from "../src/topic-reader.ts";
import { elapse, isRunning, makeBench, makeLatch, numberOf, Outage } from "./support/bench.ts";

describe("consumer on a real broker", () => {
  it("handles one key in order and keys side by side, across partitions", async () => {
    await using bench = await makeBench(infra().kafkaBrokers);
    await bench.publish(300, 10);
    const byKey = new Map<string, number[]>();
    const busy = new Set<string>();
    let most = 0;
    bench.consume({
      concurrency: 8,
      async handle(message) {
        const key = message.key ?? "";
        expect(busy.has(key)).toBe(false);
        busy.add(key);
        most = Math.max(most, busy.size);
        await new Promise((resolve) => setImmediate(resolve));
        byKey.set(key, [...(byKey.get(key) ?? []), numberOf(message)]);
        busy.delete(key);
      },
    });
    await eventually(() => expect([...byKey.values()].flat()).toHaveLength(300));
    for (const values of byKey.values()) expect(values).toEqual(values.toSorted((a, b) => a - b));
    expect(most).toBeGreaterThan(1);
    await eventually(async () => expect(await bench.lag()).toBe(0));
  });

  it("commits nothing beyond what hangs, and hands that out again after a restart", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 1 });
    const latch = makeLatch();
    const seen: number[] = [];
    const first = bench.consume({
      stopTimeoutMs: 100,
      async handle(message) {
        if (numberOf(message) === 2) await latch.opened;
        seen.push(numberOf(message));
      },
    });
    await bench.publish(10);
    await eventually(() => expect(seen).toHaveLength(9));
    await eventually(async () => expect(await bench.lag()).toBe(8));
    await first.stop();
    expect(await bench.lag()).toBe(8);
    const again: number[] = [];
    bench.consume({ handle: async (message) => void again.push(numberOf(message)) });
    await eventually(() => expect(again.toSorted((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]));
    await eventually(async () => expect(await bench.lag()).toBe(0));
    latch.open();
  });

  it("keeps its session while a handler takes longer than the session", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 2 });
    const latch = makeLatch();
    const seen: number[] = [];
    const consumer = bench.consume({
      sessionTimeoutMs: 2_000,
      async handle(message) {
        seen.push(numberOf(message));
        await latch.opened;
      },
    });
    await bench.publish(1);
    await eventually(() => expect(seen).toEqual([0]));
    await elapse(5_000);
    expect(consumer.health()).toMatchObject({ state: "running", restarts: 0, inHand: 1 });
    latch.open();
    await eventually(async () => expect(await bench.lag()).toBe(0));
    expect(seen).toEqual([0]);
  });

  it("puts a poison message with the dead letters, byte by byte, and goes on", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 1 });
    const value = Buffer.from([0, 255, 254, 10, 0]);
    const blob = Buffer.from([200, 201]);
    await bench.producer.send({ topic: bench.topic, key: "before", value: "1" });
    await bench.producer.send({ topic: bench.topic, key: "bad", value, headers: { blob, twice: ["a", "b"] } });
    await bench.producer.send({ topic: bench.topic, key: "after", value: "2" });
    const seen: string[] = [];
    bench.consume({
      async handle({ key, value: bytes }) {
        if (bytes.length > 1) throw new AppError("invalid_message", { detail: "not JSON" });
        seen.push(key ?? "");
      },
    });
    await eventually(() => expect(seen).toEqual(["before", "after"]));
    await eventually(async () => expect(await bench.lag()).toBe(0));
    const [letter, ...others] = await readTopic(bench.kafka, `${bench.topic}.worker.dlq`);
    expect(others).toEqual([]);
    expect(letter?.value).toEqual(value);
    expect(letter?.headers).toMatchObject({ blob, twice: [Buffer.from("a"), Buffer.from("b")] });
    expect(letter?.headers["pe-error-code"]).toEqual(Buffer.from("invalid_message"));
  });

  it("retries by its own fault with a count, then gives up; other messages pass by", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 1 });
    const attempts: Message[] = [];
    const passed: number[] = [];
    bench.consume({
      async handle(message) {
        if (message.key !== "k1") return void passed.push(numberOf(message));
        attempts.push(message);
        throw new Error(`failed ${message.attempt}`);
      },
    });
    await bench.publish(4);
    await eventually(() => expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 3]));
    expect(passed.toSorted()).toEqual([0, 2, 3]);
    for (const { topic, offset, value } of attempts) {
      expect({ topic, offset, value: value.toString() }).toEqual({
        topic: bench.topic,
        offset: attempts[0]?.offset,
        value: "1",
      });
    }
    const { kafka, admin, producer, prefix, topic, groupId } = bench;
    const letters = makeDeadLetters({ kafka, admin, producer, prefix });
    await eventually(async () => expect(await letters.show(`${topic}.worker.dlq`)).toHaveLength(1));
    expect((await letters.show(`${topic}.worker.dlq`))[0]).toMatchObject({
      group: groupId,
      attempts: 3,
      code: "internal",
      message: "failed 3",
      original: { topic, partition: 0, offset: attempts[0]?.offset },
      replayed: false,
    });
  });

  it("waits out an outage without counting attempts, then handles everything", async () => {
    await using bench = await makeBench(infra().kafkaBrokers);
    let down = true;
    let refused = 0;
    const done: number[] = [];
    const attempts = new Set<number>();
    const consumer = bench.consume({
      async handle(message) {
        attempts.add(message.attempt);
        if (down) {
          refused += 1;
          throw new Outage("database is away");
        }
        done.push(numberOf(message));
      },
    });
    await bench.publish(50);
    await eventually(() => expect(refused).toBeGreaterThan(20));
    expect(consumer.health()).toMatchObject({ ready: true, state: "outage", reason: "database is away" });
    expect(await bench.lag()).toBe(50);
    down = false;
    await eventually(() => expect(done).toHaveLength(50));
    expect([...attempts]).toEqual([1]);
    await eventually(async () => expect(await bench.lag()).toBe(0));
    expect(consumer.health().state).toBe("running");
  });

  it("starts nothing while paused and goes on when resumed", async () => {
    await using bench = await makeBench(infra().kafkaBrokers);
    const seen: number[] = [];
    const consumer = bench.consume({
      sessionTimeoutMs: 2_000,
      handle: async (message) => void seen.push(numberOf(message)),
    });
    await isRunning(consumer);
    consumer.pause();
    expect(consumer.health().state).toBe("paused");
    await bench.publish(20);
    // Longer than the session: membership goes on without work.
    await elapse(2_500);
    expect(seen).toEqual([]);
    expect(consumer.health()).toMatchObject({ state: "paused", restarts: 0 });
    consumer.resume();
    await eventually(() => expect(seen).toHaveLength(20));
  });

  it("finishes what is in hand when it stops, and commits it", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 1 });
    const latch = makeLatch();
    let finished = 0;
    const consumer = bench.consume({
      concurrency: 2,
      async handle() {
        await latch.opened;
        finished += 1;
      },
    });
    await bench.publish(5);
    await eventually(() => expect(consumer.health().inHand).toBeGreaterThanOrEqual(2));
    const stopped = consumer.stop();
    latch.open();
    await stopped;
    expect(finished).toBe(2);
    expect(await bench.lag()).toBe(3);
  });

  it("tells a handler to give up when stopping takes too long, and does not commit it", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 1 });
    let aborted = false;
    const consumer = bench.consume({
      stopTimeoutMs: 200,
      handle: (_message, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted = true;
            reject(new Error("gave up"));
          });
        }),
    });
    await bench.publish(1);
    await eventually(() => expect(consumer.health().inHand).toBe(1));
    await consumer.stop();
    expect(aborted).toBe(true);
    expect(await bench.lag()).toBe(1);
    expect(await readTopic(bench.kafka, `${bench.topic}.worker.retry`)).toEqual([]);
  });

  it("stays in the group while idle", async () => {
    await using bench = await makeBench(infra().kafkaBrokers);
    const seen: number[] = [];
    const consumer = bench.consume({
      sessionTimeoutMs: 2_000,
      handle: async (message) => void seen.push(numberOf(message)),
    });
    await isRunning(consumer);
    await elapse(5_000);
    await bench.publish(3);
    await eventually(() => expect(seen).toHaveLength(3));
    expect(consumer.health().restarts).toBe(0);
  });
});
