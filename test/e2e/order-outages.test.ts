import { setTimeout as delay } from "node:timers/promises";
import { eventually, makeTestRedis, type TestRedis } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OrderTale, readOrderSources } from "../audit/order-sources.ts";
import { auditOrders, isClean, renderOrderAudit } from "../audit/orders.ts";
import type { Answer } from "../support/client.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { anOrder, getOrder, orderIn, placedOf, post } from "../support/orders.ts";
import { findContractFault } from "../support/problem.ts";
import { setBothDown } from "../support/processors.ts";

const maxLag = 150;
const stock = 10_000;
let redis: TestRedis;
let engine: Engine;
const tales = new Map<string, OrderTale>();

beforeAll(async () => {
  redis = await makeTestRedis();
  engine = await startEngine({
    replicas: { gateway: 2 },
    redisUrl: redis.url,
    gateway: {
      backPressure: { maxLag },
      rateLimit: {
        capacity: 100_000,
        refillPerSecond: 100_000,
        tenants: [{ name: "burst", capacity: 20, refillPerSecond: 0.001 }],
      },
    },
    payment: { routing: { maxHold: "2s" } },
    orders: {},
  });
  await engine.client.put("seat", { stock });
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  await redis?.close();
});

/** Keeps what was told, for the audit at the end. */
async function placeOne(more: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
  const order = anOrder("seat", more);
  const answer = await post(engine.client, order);
  if (answer.status === 202) {
    tales.set(String(order.idempotency_key), { told: "accepted", orderId: placedOf(answer).order_id });
  }
  return answer;
}

const together = (count: number, call: () => Promise<Answer>) =>
  Promise.all(Array.from({ length: count }, () => call()));

const audit = async () => {
  const sources = {
    sql: engine.sql,
    processors: [engine.urlOf("processor-default"), engine.urlOf("processor-fallback")],
    receiptsFolder: engine.receiptsFolder,
    initial: new Map([["seat", stock]]),
  };
  return auditOrders({ tales, ...(await readOrderSources(sources)) });
};

describe("both processors down for a minute", () => {
  it("orders wait, more than maxLag of them are refused until it is over, and all that were taken finish", async () => {
    const { client } = engine;
    await setBothDown(engine, true);
    const downSinceMs = performance.now();
    const placed: string[] = [];
    const refusals: Answer[] = [];
    const reserved = async (): Promise<number> => {
      const [row] = await engine.sql<{ count: number }[]>`
        select count(*)::int as count from orders.orders where status = 'reserved'`;
      return row?.count ?? 0;
    };
    // The limit is soft: an order that moves on between two measurements may be counted at both places, and what is admitted
    // within a second is not seen yet. What stays is what counts.
    const place = async (): Promise<void> => {
      while ((await reserved()) <= maxLag) {
        const answer = await placeOne();
        if (answer.status === 202) placed.push(placedOf(answer).order_id);
        else refusals.push(answer);
      }
    };
    await Promise.all(Array.from({ length: 4 }, place));
    await eventually(async () => {
      const answers = await together(8, placeOne);
      placed.push(...answers.filter(({ status }) => status === 202).map((answer) => placedOf(answer).order_id));
      refusals.push(...answers.filter(({ status }) => status !== 202));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
    });
    for (const refused of refusals) {
      expect([refused.status, refused.body]).toMatchObject([503, { code: "overloaded" }]);
      expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
      expect(findContractFault(refused)).toBeUndefined();
    }
    // All of the minute no more are taken, and everything else is answered.
    while (performance.now() - downSinceMs < 60_000) {
      expect((await placeOne()).status).toBe(503);
      const look = await post(client, { action: "check_rate_limit" });
      expect(look.body).toMatchObject({ capacity: 100_000 });
      expect((await getOrder(client, placed[0] ?? "")).status).toBe("reserved");
      await delay(1_000);
    }
    const counts = await engine.sql<{ status: string; count: number }[]>`
      select status, count(*)::int as count from orders.orders group by status`;
    expect(counts.map((row) => ({ ...row }))).toEqual([{ status: "reserved", count: placed.length }]);

    await setBothDown(engine, false);
    // Nobody does anything for it.
    await eventually(async () => expect((await placeOne()).status).toBe(202), { timeoutMs: 60_000, intervalMs: 250 });
    for (const id of placed) expect((await orderIn(client, id)).status).toBe("notified");
    // Each gateway measures for itself how far the stages are behind, an idle one every few seconds: both have seen the end.
    await eventually(
      async () => {
        const answers = await together(8, placeOne);
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
      },
      { timeoutMs: 30_000, intervalMs: 250 },
    );
  });
});

describe("Redis", () => {
  it("emptied between the repeats of a key: still one order, charged once", async () => {
    const { client } = engine;
    const { idempotency_key: key, ...order } = anOrder("seat");
    const headers = { "idempotency-key": String(key) };
    const repeat = () => post(client, order, headers);
    const answers = [...(await together(10, repeat))];
    await redis.empty();
    answers.push(...(await together(10, repeat)));
    const [orderId = ""] = answers.map((answer) => placedOf(answer).order_id);
    tales.set(String(key), { told: "accepted", orderId });
    await orderIn(client, orderId, ["notified"]);
    await redis.empty();
    answers.push(...(await together(10, repeat)));
    expect(new Set(answers.map((answer) => placedOf(answer).order_id))).toEqual(new Set([orderId]));
    const check = { action: "check_idempotency", idempotency_key: key };
    expect((await post(client, check)).body).toMatchObject({ exists: true, order_id: orderId, status: "notified" });
  });

  it("down: orders are taken, by each gateway's part of the bucket, and by the whole again when it is back", async () => {
    await redis.stop();
    // Two gateways, ten tokens each.
    const answers = await together(60, () => placeOne({ tenant_id: "burst" }));
    const taken = answers.filter(({ status }) => status === 202);
    expect(answers.map(({ status }) => status).filter((status) => status !== 202 && status !== 429)).toEqual([]);
    expect(taken).toHaveLength(20);
    for (const answer of answers) {
      if (answer.status === 429) expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
    }
    for (const answer of taken) await orderIn(engine.client, placedOf(answer).order_id, ["notified"]);
    await redis.start();
    await eventually(async () => {
      const { body } = await post(engine.client, { action: "check_rate_limit", tenant_id: "burst" });
      expect(body).toMatchObject({ tokens_remaining: 20, capacity: 20 });
    });
    const again = await together(60, () => placeOne({ tenant_id: "burst" }));
    expect(again.filter(({ status }) => status === 202)).toHaveLength(20);
  });
});

it("and in the end money, stock and receipts are as the orders say", async () => {
  await eventually(async () => expect((await audit()).faults).toMatchObject({ unended: [] }), { timeoutMs: 60_000 });
  const found = await audit();
  expect(isClean(found), renderOrderAudit(found)).toBe(true);
});
