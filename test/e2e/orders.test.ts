import type { ExplainResponse } from "@pricing-engine/contracts";
import { eventually } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Answer } from "../support/client.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { anOrder, getOrder, orderIn, place, placedOf, post, readReceipt } from "../support/orders.ts";
import { findContractFault } from "../support/problem.ts";
import { setBothDown } from "../support/processors.ts";

/*
 * Orders through the whole engine: gateways, pricing, stages, payment workers and two simulated processors, on real Kafka, Postgres
 * and Redis.
 */
const pricing = {
  signals: { ttl: { stock: "0s", demand: "0s", competitor_price: "0s", cost: "0s" } },
  policy: {
    market: [
      { name: "scarcity", when: "signals.stock < 20.0", adjust: { multiply: "1.15" }, reason: "Only a few are left" },
    ],
  },
};
const gateway = {
  rateLimit: {
    capacity: 100_000,
    refillPerSecond: 100_000,
    // Slower than any test: none of its tokens comes back meanwhile.
    tenants: [{ name: "burst", capacity: 100, refillPerSecond: 0.001 }],
  },
};
let engine: Engine;

beforeAll(async () => {
  engine = await startEngine({
    replicas: { gateway: 2 },
    pricing,
    gateway,
    payment: { routing: { maxHold: "2s" } },
    orders: {},
  });
  await engine.client.put("seat", { stock: 100_000 });
}, 240_000);
afterAll(() => engine?.[Symbol.asyncDispose]());

const statesOf = async (orderId: string) => (await getOrder(engine.client, orderId)).transitions.map(({ to }) => to);
const countBy = (answers: readonly Answer[]) => {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};
const together = <T>(count: number, call: (nth: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, nth) => call(nth)));

/** Charges of an order at the processors. */
async function chargesOf(orderId: string): Promise<number> {
  const [row] = await engine.sql<{ count: number }[]>`
    select count(*)::int as count from payment.payments where source = 'order' and order_id = ${orderId} and state = 'settled'`;
  return row?.count ?? 0;
}

it("goes from placed to notified by itself, and its receipt can be read", async () => {
  const { client } = engine;
  const accepted = await place(client, anOrder("seat", { items: [{ product_id: "seat", quantity: 2 }] }));
  expect(accepted).toMatchObject({ status: "placed", total: "20.00", tokens_remaining: expect.any(Number) });
  // At once: what a 202 names is there.
  expect((await getOrder(client, accepted.order_id)).order_id).toBe(accepted.order_id);

  const done = await orderIn(client, accepted.order_id);
  expect(done).toMatchObject({ status: "notified", total: "20.00" });
  expect(await statesOf(accepted.order_id)).toEqual(["placed", "reserved", "paid", "fulfilled", "notified"]);
  expect(await chargesOf(accepted.order_id)).toBe(1);
  const receipt = await readReceipt(engine.url, done);
  expect(receipt).toContain(accepted.order_id);
  expect(receipt).toContain("20.00");
  expect((await client.call("POST", `/orders/${accepted.order_id}/cancel`)).status).toBe(409);
});

describe("the rate limit", () => {
  it("admits exactly a bucket of 100 of 500 concurrent orders, and says when to come again", async () => {
    const { client } = engine;
    const answers = await together(500, () => post(client, anOrder("seat", { tenant_id: "burst" })));
    expect(countBy(answers)).toEqual({ 202: 100, 429: 400 });
    const left = answers.filter(({ status }) => status === 202).map((answer) => placedOf(answer).tokens_remaining);
    expect(left.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, nth) => nth));
    for (const answer of answers) {
      expect(answer.headers["ratelimit-policy"]).toBe('"tenant";q=100;w=100000');
      expect(answer.headers.ratelimit).toMatch(/^"tenant";r=\d+/);
      if (answer.status !== 429) continue;
      expect(findContractFault(answer)).toBeUndefined();
      expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
    }
  });

  it("is looked at without taking a token, for each tenant by itself", async () => {
    const { client } = engine;
    const look = async (tenant_id?: string) =>
      (await post(client, { action: "check_rate_limit", ...(tenant_id && { tenant_id }) })).body;
    const burst = { tenant_id: "burst", tokens_remaining: 0, capacity: 100, refill_per_second: 0.001 };
    expect(await look("burst")).toEqual(burst);
    expect(await look("burst")).toEqual(burst);
    expect(await look()).toMatchObject({ tenant_id: "default", capacity: 100_000 });
    expect((await post(client, anOrder("seat"))).status).toBe(202);
  });

  it("uses up no key of an order that it refused", async () => {
    const { client } = engine;
    const order = anOrder("seat", { tenant_id: "burst" });
    expect((await post(client, order)).status).toBe(429);
    const check = { action: "check_idempotency", tenant_id: "burst", idempotency_key: order.idempotency_key };
    expect((await post(client, check)).body).toMatchObject({ exists: false });
  });
});

describe("a repeat", () => {
  it("of 50 concurrent ones places one order: all get its id, and it is charged once", async () => {
    const { client } = engine;
    const { idempotency_key: key, ...order } = anOrder("seat");
    const headers = { "idempotency-key": String(key) };
    const answers = await together(50, () => post(client, order, headers));
    expect(countBy(answers)).toEqual({ 202: 50 });
    const ids = new Set(answers.map((answer) => placedOf(answer).order_id));
    expect(ids.size).toBe(1);
    expect(answers.filter((answer) => answer.headers["idempotent-replayed"] === "true")).toHaveLength(49);

    const texts = new Set(answers.map(({ text }) => text));
    expect(texts.size).toBe(1);

    const again = await post(client, order, headers);
    expect(texts).toContain(again.text);
    expect([again.status, placedOf(again).order_id, again.headers["idempotent-replayed"]]).toEqual([
      202,
      [...ids][0],
      "true",
    ]);
    const [orderId = ""] = ids;
    await orderIn(client, orderId, ["notified"]);
    expect(await chargesOf(orderId)).toBe(1);
  });

  it("with the key in the body is a 409 that names the order; with another body a 422", async () => {
    const { client } = engine;
    const order = anOrder("seat");
    const { order_id } = await place(client, order);
    const repeated = await post(client, order);
    expect([repeated.status, repeated.body]).toMatchObject([409, { existing_order_id: order_id }]);
    const other = { ...order, items: [{ product_id: "seat", quantity: 3 }] };
    for (const answer of [
      await post(client, other),
      await post(client, other, { "idempotency-key": String(order.idempotency_key) }),
    ]) {
      expect(answer.status).toBe(422);
      expect(findContractFault(answer)).toBeUndefined();
    }
    const check = { action: "check_idempotency", idempotency_key: order.idempotency_key };
    expect((await post(client, check)).body).toMatchObject({ exists: true, order_id });
  });

  it("has a key per tenant", async () => {
    const { client } = engine;
    const order = anOrder("seat");
    const first = await place(client, { ...order, tenant_id: "acme" });
    const second = await place(client, { ...order, tenant_id: "umbrella" });
    expect(second.order_id).not.toBe(first.order_id);
  });
});

it("reserves no more than there is: of 200 concurrent orders for 10 units 10 are fulfilled, and nothing else is charged", async () => {
  const { client } = engine;
  await client.put("rare", { stock: 10 });
  const placed = await together(200, () => place(client, anOrder("rare")));
  const done = await Promise.all(placed.map(({ order_id }) => orderIn(client, order_id, undefined, 120_000)));
  const counts = { notified: 0, rejected: 0 };
  for (const { status } of done) if (status === "notified" || status === "rejected") counts[status] += 1;
  expect(counts).toEqual({ notified: 10, rejected: 190 });
  const charged = await Promise.all(
    done.filter(({ status }) => status === "rejected").map((o) => chargesOf(o.order_id)),
  );
  expect(charged.reduce((sum, count) => sum + count, 0)).toBe(0);
  expect((await client.call("GET", "/api/v1/inventory/rare")).body).toMatchObject({ stock: 0 });
});

it("makes what becomes scarce dearer, and says so", async () => {
  const { client } = engine;
  await client.put("scarce", { stock: 100 });
  // A fifth of what there was: from there on pricing hears of each change.
  const order = anOrder("scarce", { items: [{ product_id: "scarce", quantity: 85 }] });
  expect((await place(client, order)).total).toBe("850.00");
  await eventually(
    async () => {
      const { body } = await client.call("GET", "/api/v1/prices/scarce/explain");
      const { final_price, steps } = body as ExplainResponse;
      expect(final_price).toBe("11.50");
      expect(steps.map(({ rule, reason }) => [rule, reason])).toContainEqual(["scarcity", "Only a few are left"]);
    },
    { timeoutMs: 60_000, intervalMs: 200 },
  );
  const dearer = anOrder("scarce", { items: [{ product_id: "scarce", quantity: 1, price: 10 }] });
  const refused = await post(client, dearer);
  expect(refused.status).toBe(422);
  expect(JSON.stringify(refused.body)).toContain("11.50");
});

it("waits while both processors are down, and finishes when one is back", async () => {
  const { client } = engine;
  await setBothDown(engine, true);
  let placed: { order_id: string }[];
  try {
    placed = await together(10, () => place(client, anOrder("seat")));
    await Promise.all(placed.map(({ order_id }) => orderIn(client, order_id, ["reserved"])));
    // Tried, refused, and still waiting: not one of them has ended.
    await eventually(async () => {
      const rows = await engine.sql<{ attempts: number }[]>`
        select attempts from payment.payments where source = 'order'
        and order_id = any(${placed.map(({ order_id }) => order_id)})`;
      return rows.length === placed.length;
    });
    const states = await Promise.all(placed.map(async ({ order_id }) => (await getOrder(client, order_id)).status));
    expect(new Set(states)).toEqual(new Set(["reserved"]));
  } finally {
    await setBothDown(engine, false);
  }
  const done = await Promise.all(placed.map(({ order_id }) => orderIn(client, order_id)));
  expect(new Set(done.map(({ status }) => status))).toEqual(new Set(["notified"]));
});
