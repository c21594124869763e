import { currentTraceId, withSpan } from "@pricing-engine/chassis/telemetry";
import { deadLetterTopic, retryTopic } from "@pricing-engine/contracts";
import { eventually, infra } from "@pricing-engine/testkit";
import { describe, expect, it } from "vitest";
import { type Kafka, makeProducer, type Producer } from "../src/index.ts";
import { readTopic } from "../src/topic-reader.ts";
import { makeBench } from "./support/bench.ts";

/** A producer and the names of the requests that it sent. */
function watched(kafka: Kafka, more: { lingerMs?: number } = {}): { producer: Producer; requests: string[] } {
  const requests: string[] = [];
  const { client } = kafka;
  const watching = Object.assign(Object.create(Object.getPrototypeOf(client)), client, {
    producer(options: Parameters<typeof client.producer>[0]) {
      const made = client.producer(options);
      made.on(made.events.REQUEST, ({ payload }) => void requests.push(payload.apiName));
      return made;
    },
  });
  return { requests, producer: makeProducer({ kafka: { ...kafka, client: watching }, ...more }) };
}

describe("producer on a real broker", () => {
  it("sends many at once in few requests, in order per key, at a useful rate", async () => {
    await using bench = await makeBench(infra().kafkaBrokers);
    const { producer, requests } = watched(bench.kafka);
    // A partition just made can refuse its first request; the repeat would count as duplicates here.
    for (const partition of [0, 1, 2]) await producer.send({ topic: bench.topic, key: null, value: "0", partition });
    requests.length = 0;
    const count = 20_000;
    let next = 0;
    const startedMs = performance.now();
    await Promise.all(
      Array.from({ length: 256 }, async () => {
        while (next < count) {
          const value = next;
          next += 1;
          await producer.send({ topic: bench.topic, key: `k${value % 50}`, value: String(value) });
        }
      }),
    );
    const perSecond = Math.round(count / ((performance.now() - startedMs) / 1_000));
    process.stdout.write(`produced ${perSecond} records/s with 256 in flight, ${requests.length} requests\n`);
    expect(requests.filter((name) => name === "Produce").length).toBeLessThan(count / 20);
    await producer.close();
    const records = (await readTopic(bench.kafka, bench.topic)).filter(({ key }) => key !== null);
    expect(records).toHaveLength(count);
    const last = new Map<string, number>();
    for (const { key, value } of records) {
      const name = String(key);
      expect(Number(value)).toBeGreaterThan(last.get(name) ?? -1);
      last.set(name, Number(value));
    }
  });

  it("sends what comes while two requests are under way as soon as one ends, in one request", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 1 });
    const { producer, requests } = watched(bench.kafka, { lingerMs: 3_600_000 });
    await producer.send({ topic: bench.topic, key: "k", value: "warm" });
    requests.length = 0;
    const send = (value: string) => producer.send({ topic: bench.topic, key: "k", value });
    const first = send("0");
    await new Promise(setImmediate);
    const second = send("1");
    await new Promise(setImmediate);
    await Promise.all([first, second, ...["2", "3", "4"].map(send)]);
    expect(requests.filter((name) => name === "Produce")).toHaveLength(3);
    await producer.close();
  });

  it("sends what goes to several topics in one request", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 1 });
    const { producer, requests } = watched(bench.kafka);
    const topics = [bench.topic, retryTopic(bench.topic, bench.groupId), deadLetterTopic(bench.topic, bench.groupId)];
    const sendAll = (value: string) => Promise.all(topics.map((topic) => producer.send({ topic, key: "k", value })));
    await sendAll("first");
    requests.length = 0;
    await sendAll("second");
    expect(requests.filter((name) => name === "Produce")).toHaveLength(1);
    await producer.close();
    for (const topic of topics) {
      const values = (await readTopic(bench.kafka, topic)).map(({ value }) => String(value));
      expect(values).toContain("first");
      expect(values.at(-1)).toBe("second");
    }
  });

  it("refuses what is too large and what does not fit its memory, and a missing topic, alone", async () => {
    await using bench = await makeBench(infra().kafkaBrokers);
    const { kafka, topic } = bench;
    const producer = makeProducer({ kafka, maxBufferedBytes: 4_000, deliveryTimeoutMs: 500 });
    const huge = Buffer.alloc(3 * 1024 * 1024);
    await expect(producer.send({ topic, key: null, value: huge })).rejects.toMatchObject({ code: "payload_too_large" });
    const half = Buffer.alloc(2_500);
    const [first, second] = await Promise.allSettled([
      producer.send({ topic, key: "a", value: half }),
      producer.send({ topic, key: "b", value: half }),
    ]);
    expect(first).toMatchObject({ status: "fulfilled" });
    expect(second).toMatchObject({ status: "rejected", reason: { code: "kafka_unavailable" } });
    const [missing, fine] = await Promise.allSettled([
      producer.send({ topic: `${bench.prefix}missing`, key: "a", value: "1" }),
      producer.send({ topic, key: "a", value: "2" }),
    ]);
    expect(missing).toMatchObject({ status: "rejected", reason: { code: "kafka_unavailable" } });
    expect(fine).toMatchObject({ status: "fulfilled" });
    await producer.close();
    await expect(producer.send({ topic, key: "a", value: "3" })).rejects.toMatchObject({ code: "kafka_unavailable" });
    expect(await readTopic(kafka, topic)).toHaveLength(2);
  });

  it("carries one trace from sender to handler, also over a retry", async () => {
    await using bench = await makeBench(infra().kafkaBrokers, { partitions: 1 });
    const traces: string[] = [];
    bench.consume({
      async handle({ attempt }) {
        traces.push(currentTraceId());
        if (attempt === 1) throw new Error("once more");
      },
    });
    const sent = await withSpan("request", {}, async () => {
      await bench.producer.send({ topic: bench.topic, key: "k", value: "1" });
      return currentTraceId();
    });
    await eventually(() => expect(traces).toEqual([sent, sent]));
  });
});
