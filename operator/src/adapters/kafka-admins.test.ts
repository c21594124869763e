import { makeLogger } from "@pricing-engine/chassis/log";
import type { KafkaAccess } from "@pricing-engine/kafka";
import { describe, expect, test } from "vitest";
import { makeKafkaAdmins } from "./kafka-admins.ts";

const brokers = ["a:9092", "b:9092"];
const sasl = { mechanism: "scram-sha-512", username: "shop", password: "1" } as const;
const makeAdmins = () => makeKafkaAdmins(makeLogger({ name: "test", level: "silent" }));

describe("the operator's clients of Kafka", () => {
  test("one serves all who come to the same brokers with the same credentials, until the last has gone", async () => {
    const admins = makeAdmins();
    const first = admins.lend({ brokers, tls: true, sasl });
    const second = admins.lend({ brokers: brokers.toReversed(), tls: true, sasl: { ...sasl } });
    expect(second.admin).toBe(first.admin);
    await first.release();
    await first.release();
    expect(admins.lend({ brokers, tls: true, sasl }).admin).toBe(second.admin);
  });

  test.each<[string, KafkaAccess]>([
    ["without credentials", { brokers, tls: true }],
    ["with another password", { brokers, tls: true, sasl: { ...sasl, password: "2" } }],
    ["as somebody else", { brokers, tls: true, sasl: { ...sasl, username: "other" } }],
    ["by another mechanism", { brokers, tls: true, sasl: { ...sasl, mechanism: "plain" } }],
    ["without TLS", { brokers, sasl }],
    ["trusting another authority", { brokers, tls: { ca: "other" }, sasl }],
    ["to other brokers", { brokers: ["c:9092"], tls: true, sasl }],
  ])("who comes %s gets one of their own", (_, access) => {
    const admins = makeAdmins();
    expect(admins.lend(access).admin).not.toBe(admins.lend({ brokers, tls: true, sasl }).admin);
  });
});
