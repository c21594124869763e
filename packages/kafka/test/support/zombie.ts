// A consumer in a process of its own, so that a test can stop it (SIGSTOP) for longer than its session. It appends the
// offset of every message to a file when it begins and when it ends one; the key "hang" takes as long as it gets.
import { appendFileSync } from "node:fs";
import { makeLogger } from "@pricing-engine/chassis/log";
import { makeKafka, makeProducer, runConsumer } from "../../src/index.ts";

const { KAFKA_BROKERS = "", TOPIC = "", GROUP = "", JOURNAL = "", HANDLER_MS = "0" } = process.env;
const logger = makeLogger({ name: "zombie", level: "warn" });
const kafka = makeKafka({ brokers: [KAFKA_BROKERS], clientId: "zombie", logger });
const producer = makeProducer({ kafka });
const consumer = runConsumer({
  kafka,
  producer,
  groupId: GROUP,
  topics: [TOPIC],
  logger,
  concurrency: 4,
  isOutage: () => false,
  sessionTimeoutMs: 1_500,
  rebalanceTimeoutMs: 3_000,
  heartbeatIntervalMs: 150,
  maxWaitMs: 100,
  commitIntervalMs: 50,
  async handle({ offset, partition }) {
    appendFileSync(JOURNAL, `begin ${partition}/${offset}\n`);
    await new Promise((resolve) => setTimeout(resolve, Number(HANDLER_MS)));
    appendFileSync(JOURNAL, `end ${partition}/${offset}\n`);
  },
});
setInterval(
  () => appendFileSync(JOURNAL, `state ${consumer.health().state} ${consumer.health().assigned.length}\n`),
  100,
);
process.once("SIGTERM", () => {
  void consumer
    .stop()
    .then(() => producer.close())
    .then(() => process.exit(0));
});
