import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Infra, startInfra } from "@pricing-engine/hack/infra";
import { eventually, startTcpProxy, type TcpProxy } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeKafka, makeKafkaAdmin, makeProducer, runConsumer } from "../src/index.ts";
import { readTopic } from "../src/topic-reader.ts";
import { isRunning, makeBench } from "./support/bench.ts";

/** As when a broker's node is gone: nobody tells those who were connected. */
describe("a connection that hangs", { timeout: 120_000 }, () => {
  let infra: Infra<"kafka">;
  let proxy: TcpProxy;

  beforeAll(async () => {
    const properties: Record<string, string> = {};
    infra = await startInfra({
      dir: mkdtempSync(join(tmpdir(), "pricing-engine-kafka-")),
      services: ["kafka"],
      ports: "random",
      mode: "native",
      lifetime: "session",
      ephemeral: true,
      log: () => {},
      kafkaListeners: { listeners: [], scramUsers: {}, properties },
    });
    proxy = await startTcpProxy({ target: infra.endpoints.kafkaBrokers });
    // Everybody is sent through it, also the broker to itself.
    properties["advertised.listeners"] = `PLAINTEXT://127.0.0.1:${proxy.port}`;
    await infra.restart("kafka");
  }, 120_000);
  afterAll(async () => {
    await infra?.stop();
    await proxy?.close();
  });

  it("is left: topics and groups are looked at through another one", async () => {
    await using bench = await makeBench(`127.0.0.1:${proxy.port}`);
    const spec = { topic: bench.topic, partitions: 1, replicationFactor: 1, keep: "forever" as const };
    const { logger } = bench.kafka;
    const brokers = [`127.0.0.1:${proxy.port}`];
    const admin = makeKafkaAdmin({ kafka: makeKafka({ brokers, clientId: "hanging", logger, requestTimeoutMs: 500 }) });
    try {
      const lookAtAll = () => Promise.all([admin.ensureTopics([spec]), admin.groupLag(bench.groupId, [bench.topic])]);
      await admin.ensureTopics([{ ...spec, topic: `${bench.topic}.more` }]);
      // The first group of a broker has to wait for a topic of the broker's own.
      await eventually(lookAtAll, { timeoutMs: 20_000 });
      proxy.hang();
      await eventually(lookAtAll, { timeoutMs: 20_000 });
    } finally {
      proxy.restore();
      await admin.deleteTopics([`${bench.topic}.more`]);
      await admin.close();
    }
  });

  it("is left by whoever publishes: records go through another one", async () => {
    await using bench = await makeBench(`127.0.0.1:${proxy.port}`, { partitions: 2 });
    const { logger } = bench.kafka;
    const brokers = [`127.0.0.1:${proxy.port}`];
    const kafka = makeKafka({ brokers, clientId: "hanging", logger, requestTimeoutMs: 500 });
    const producer = makeProducer({ kafka, deliveryTimeoutMs: 10_000 });
    const send = (value: string) => producer.send({ topic: bench.topic, key: value, value });
    try {
      await send("before");
      proxy.hang();
      await Promise.all([send("one"), send("two")]);
      await send("after");
    } finally {
      proxy.restore();
      await producer.close();
    }
    const values = (await readTopic(bench.kafka, bench.topic)).map(({ value }) => String(value));
    // Those under way may be there twice: nobody knows whether the first was taken.
    expect([...new Set(values)].toSorted()).toEqual(["after", "before", "one", "two"]);
  });

  it("is left also when it was opened while the broker said nothing", async () => {
    await using bench = await makeBench(`127.0.0.1:${proxy.port}`);
    const { logger } = bench.kafka;
    const kafka = makeKafka({
      brokers: [`127.0.0.1:${proxy.port}`],
      clientId: "hanging",
      logger,
      requestTimeoutMs: 500,
    });
    const producer = makeProducer({ kafka, deliveryTimeoutMs: 5_000 });
    const send = (value: string) => producer.send({ topic: bench.topic, key: value, value });
    try {
      await send("before");
      proxy.blackhole();
      // Longer than the first client's request and the next one's greeting together.
      await expect(send("lost")).rejects.toMatchObject({ code: "publish_unknown" });
      proxy.restore();
      await eventually(() => send("after"), { timeoutMs: 10_000 });
    } finally {
      proxy.restore();
      await producer.close();
    }
  });

  it("is left by whoever consumes: what is published later is handled", async () => {
    await using bench = await makeBench(`127.0.0.1:${proxy.port}`);
    const { logger } = bench.kafka;
    const brokers = [`127.0.0.1:${proxy.port}`];
    const kafka = makeKafka({ brokers, clientId: "hanging", logger, requestTimeoutMs: 500 });
    const producer = makeProducer({ kafka });
    const handled: string[] = [];
    const consumer = runConsumer({
      ...bench.common,
      kafka,
      async handle({ value }) {
        handled.push(String(value));
      },
    });
    try {
      await isRunning(consumer);
      proxy.hang();
      await producer.send({ topic: bench.topic, key: "k", value: "after" });
      // Several requests in a row without an answer, then a new member of the group.
      await eventually(() => expect(handled).toEqual(["after"]), { timeoutMs: 60_000 });
    } finally {
      proxy.restore();
      await consumer.stop();
      await producer.close();
    }
  });
});
