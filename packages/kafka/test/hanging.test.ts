import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Infra, startInfra } from "@pricing-engine/hack/infra";
import { eventually, startTcpProxy, type TcpProxy } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, it } from "vitest";
import { makeKafka, makeKafkaAdmin } from "../src/index.ts";
import { makeBench } from "./support/bench.ts";

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
});
