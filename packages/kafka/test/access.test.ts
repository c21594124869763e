import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { completeKafka, engineConfig, loadConfig } from "@pricing-engine/chassis/config";
import { makeLogger } from "@pricing-engine/chassis/log";
import { type Infra, makePortPicker, startInfra } from "@pricing-engine/hack/infra";
import { type Authority, eventually, makeAuthority } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import {
  type Kafka,
  kafkaAccessOf,
  makeKafka,
  makeKafkaAdmin,
  makeProducer,
  runConsumer,
  withGroupTopics,
} from "../src/index.ts";

const schema = z.object(engineConfig.kafka).superRefine(completeKafka);
const password = "c0rrect-h0rse";
const wrong = "b4ttery-st4ple";
const plain = { KAFKA_SASL_MECHANISM: "plain", KAFKA_SASL_USERNAME: "engine", KAFKA_SASL_PASSWORD: password };
const scram = { ...plain, KAFKA_SASL_MECHANISM: "scram-sha-512" };

describe("a broker that asks who comes", { timeout: 120_000 }, () => {
  const root = mkdtempSync(join(tmpdir(), "pricing-engine-kafka-access-"));
  let infra: Infra<"kafka">;
  let authority: Authority;
  let stranger: Authority;
  let brokers: { clear: string; tls: string };
  const lines: string[] = [];
  const logger = makeLogger({
    name: "access",
    level: "trace",
    destination: { write: (line: string) => lines.push(line) },
  });

  beforeAll(async () => {
    authority = makeAuthority(root, "authority");
    stranger = makeAuthority(root, "stranger");
    const pick = makePortPicker();
    brokers = { clear: `127.0.0.1:${await pick()}`, tls: `127.0.0.1:${await pick()}` };
    const login = (options: string) => `org.apache.kafka.common.security.${options};`;
    const logins = (listener: string) => ({
      [`listener.name.${listener}.sasl.enabled.mechanisms`]: "PLAIN,SCRAM-SHA-512",
      [`listener.name.${listener}.plain.sasl.jaas.config`]: login(
        `plain.PlainLoginModule required user_engine="${password}"`,
      ),
      [`listener.name.${listener}.scram-sha-512.sasl.jaas.config`]: login("scram.ScramLoginModule required"),
    });
    const dir = join(root, "set");
    mkdirSync(dir);
    infra = await startInfra({
      dir,
      services: ["kafka"],
      ports: "random",
      mode: "native",
      lifetime: "session",
      ephemeral: true,
      log: () => {},
      kafkaListeners: {
        listeners: [`SASL_PLAINTEXT://${brokers.clear}`, `SASL_SSL://${brokers.tls}`],
        scramUsers: { engine: password },
        properties: {
          ...logins("sasl_plaintext"),
          ...logins("sasl_ssl"),
          "ssl.keystore.type": "PEM",
          "ssl.keystore.location": authority.serverFile,
        },
      },
    });
  }, 120_000);
  afterAll(() => infra?.stop());

  function open(env: Readonly<Record<string, string>>): Kafka {
    return makeKafka({ ...kafkaAccessOf(loadConfig(schema, env)), clientId: "access", logger });
  }

  it.each([
    ["PLAIN", () => ({ KAFKA_BROKERS: brokers.clear, ...plain })],
    ["SCRAM", () => ({ KAFKA_BROKERS: brokers.clear, ...scram })],
    [
      "SCRAM over TLS by an authority of its own",
      () => ({ KAFKA_BROKERS: brokers.tls, KAFKA_TLS: "true", KAFKA_CA: authority.ca, ...scram }),
    ],
  ])("%s: topics are made, and records come through", async (_, env) => {
    const kafka = open(env());
    const admin = makeKafkaAdmin({ kafka });
    const producer = makeProducer({ kafka });
    const topic = `access-${crypto.randomUUID()}`;
    const groupId = `${topic}-worker`;
    await admin.ensureTopics(
      withGroupTopics({ topic, partitions: 2, replicationFactor: 1, keep: "forever" }, [groupId]),
    );
    const seen: string[] = [];
    const consumer = runConsumer({
      kafka,
      producer,
      groupId,
      topics: [topic],
      logger,
      isOutage: () => false,
      handle: async ({ value }) => void seen.push(String(value)),
    });
    await producer.send({ topic, key: "k", value: "through" });
    await eventually(() => expect(seen).toEqual(["through"]), { timeoutMs: 30_000 });
    await consumer.stop();
    await eventually(async () => expect((await admin.groupLag(groupId, [topic])).total).toBe(0n));
    await Promise.all([producer.close(), admin.close()]);
    expect(lines.filter((line) => line.includes(password))).toEqual([]);
  });

  it.each([
    [
      "a wrong password",
      () => ({ KAFKA_BROKERS: brokers.clear, ...scram, KAFKA_SASL_PASSWORD: wrong }),
      /authentication failed/i,
    ],
    [
      "a wrong password, PLAIN",
      () => ({ KAFKA_BROKERS: brokers.clear, ...plain, KAFKA_SASL_PASSWORD: wrong }),
      /authentication failed/i,
    ],
    [
      "an unknown user",
      () => ({ KAFKA_BROKERS: brokers.clear, ...scram, KAFKA_SASL_USERNAME: "nobody" }),
      /authentication failed/i,
    ],
    [
      "an authority that nobody knows",
      () => ({ KAFKA_BROKERS: brokers.tls, KAFKA_TLS: "true", ...scram }),
      /self-signed certificate/,
    ],
    [
      "another authority",
      () => ({ KAFKA_BROKERS: brokers.tls, KAFKA_TLS: "true", KAFKA_CA: stranger.ca, ...scram }),
      /self-signed certificate|unable to verify/,
    ],
  ])("%s: admin and producer say so, and knock a few times a second", async (_, env, said) => {
    lines.length = 0;
    const kafka = open(env());
    const admin = makeKafkaAdmin({ kafka });
    await expect(admin.listTopics()).rejects.toThrow(said);
    const producer = makeProducer({ kafka, deliveryTimeoutMs: 2_000 });
    const before = attempts();
    const startedMs = performance.now();
    const failure = await producer.send({ topic: "any", key: "k", value: "v" }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "kafka_unavailable", cause: { message: expect.stringMatching(said) } });
    const perSecond = (attempts() - before) / ((performance.now() - startedMs) / 1_000);
    expect(perSecond).toBeGreaterThan(0);
    expect(perSecond).toBeLessThan(10);
    await Promise.all([producer.close(), admin.close()]);
    expect(lines.filter((line) => line.includes(password) || line.includes(wrong))).toEqual([]);
  });

  it("a wrong password ends a consumer after a few tries, with what the broker said", async () => {
    lines.length = 0;
    const kafka = open({ KAFKA_BROKERS: brokers.clear, ...scram, KAFKA_SASL_PASSWORD: wrong });
    const producer = makeProducer({ kafka });
    const startedMs = performance.now();
    const consumer = runConsumer({
      kafka,
      producer,
      groupId: "nobody",
      topics: ["any"],
      logger,
      isOutage: () => false,
      handle: async () => {},
    });
    await expect(consumer.failed).rejects.toThrow(/authentication failed/i);
    process.stdout.write(`consumer: ${attempts()} tries in ${Math.round(performance.now() - startedMs)} ms\n`);
    expect(attempts()).toBeLessThan(100);
    await Promise.all([consumer.stop(), producer.close()]);
    expect(lines.filter((line) => line.includes(wrong))).toEqual([]);
  });

  /** Connections that were tried, by kafkajs's own word. */
  function attempts(): number {
    return lines.filter((line) => line.includes("Connecting")).length;
  }
});
