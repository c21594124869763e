import { eventually } from "@pricing-engine/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type LocalEngine, startLocalEngine } from "../support/local-engine.ts";

let engine: LocalEngine;

beforeAll(async () => {
  engine = await startLocalEngine(`
apiVersion: pricing-engine.dev/v1alpha1
kind: PricingEngine
metadata: { name: shop }
spec:
  gateway: { replicas: { min: 2, max: 2 } }
  pricing:
    workers: { min: 2, max: 2 }
    policy:
      customer:
        - { name: prime, when: customer.prime, adjust: { multiply: "0.95" }, reason: Members }
`);
  await engine.client.put("seat");
}, 300_000);
afterAll(() => engine?.[Symbol.asyncDispose]());

const asMember = { is_prime_member: true };

it("takes a policy over in less than 2 s, at every replica, without a restart", async () => {
  const { client } = engine;
  expect((await client.price("seat", asMember)).final_price).toBe("9.50");
  const pids = await engine.pids();
  expect(Object.keys(pids).toSorted()).toEqual(["gateway", "pricing-api", "pricing-worker"]);

  await engine.edit((text) => text.replace('"0.95"', '"0.50"'));
  const editedMs = performance.now();
  // When the last request was sent that got an old price, and when no more such answers came: on a busy machine an answer takes long.
  let lastOldMs = editedMs;
  let quietSinceMs = editedMs;
  const ask = async () => ({ sentMs: performance.now(), ...(await client.price("seat", asMember)) });
  await eventually(
    async () => {
      // Over more connections than one gateway would have.
      const prices = await Promise.all(Array.from({ length: 20 }, ask));
      const old = prices.filter(({ final_price }) => final_price !== "5.00");
      if (old.length > 0) quietSinceMs = performance.now();
      lastOldMs = Math.max(lastOldMs, ...old.map(({ sentMs }) => sentMs));
      return old.length === 0 && performance.now() - quietSinceMs > 1_000;
    },
    { timeoutMs: 60_000, intervalMs: 20 },
  );
  expect(lastOldMs - editedMs).toBeLessThan(2_000);
  expect(await engine.pids()).toEqual(pids);
});

it("refuses a policy that does not compile with its rule and position, and keeps the last good one", async () => {
  const { client } = engine;
  const before = await client.price("seat", asMember);
  await engine.edit((text) => text.replace("when: customer.prime", "when: customer.prime && quantity +* 2"));
  await eventually(() => expect(engine.output()).toMatch(/refused.*\n.*policy\.customer\S* prime: .*character \d+/), {
    timeoutMs: 60_000,
  });
  expect((await client.price("seat", asMember)).final_price).toBe(before.final_price);
  expect((await client.price("seat", { ...asMember, quantity: 3 })).final_price).toBe(before.final_price);

  // One that makes no sense as a resource does not even reach the services.
  await engine.edit((text) =>
    text.replace("customer.prime && quantity +* 2", "customer.prime").replace("multiply", "multiplied"),
  );
  await eventually(() => expect(engine.output()).toMatch(/refused.*\n.*line \d+.*customer.*multiplied/), {
    timeoutMs: 60_000,
  });
  expect((await client.price("seat", asMember)).final_price).toBe(before.final_price);

  await engine.edit((text) => text.replace("multiplied", "multiply").replace('"0.50"', '"0.80"'));
  await eventually(async () => expect((await client.price("seat", asMember)).final_price).toBe("8.00"), {
    timeoutMs: 60_000,
  });
});
