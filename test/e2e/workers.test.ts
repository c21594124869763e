import { eventually, infra, type SpawnedService, startTcpProxy } from "@pricing-engine/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeClient } from "../support/client.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { failuresOf, findBacksteps, startLoad } from "../support/load.ts";
import { readMetric } from "../support/metrics.ts";
import { demandIsPrice, movePrice, priceOf } from "../support/moving-price.ts";

let engine: Engine;

const productCount = 3_000;

beforeAll(async () => {
  engine = await startEngine({
    replicas: { "pricing-worker": 3 },
    partitions: 12,
    env: { "pricing-worker": { RECALCULATION_CHUNK_SIZE: "20", WORKER_CONCURRENCY: "1" } },
  });
  await engine.client.importProducts(productCount);
});
afterAll(() => engine?.[Symbol.asyncDispose]());

async function countPrices(): Promise<Record<string, number>> {
  const rows = await engine.sql<{ price_minor: string; count: number }[]>`
    select price_minor, count(*)::int as count from pricing.prices group by price_minor`;
  return Object.fromEntries(rows.map((row) => [row.price_minor, row.count]));
}

/** The recalculation that a new policy caused. */
async function taskOfPolicy(): Promise<string> {
  return eventually(async () => {
    const [row] = await engine.sql<{ task_id: string }[]>`
      select task_id from pricing.tasks where origin = 'policy' order by task_id desc limit 1`;
    if (row === undefined) throw new Error("no task yet");
    return row.task_id;
  });
}

async function countDone(taskId: string): Promise<number> {
  const [row] = await engine.sql<{ done: number }[]>`
    select coalesce(sum(done), 0)::int as done from pricing.task_chunks where task_id = ${taskId}`;
  return row?.done ?? 0;
}

it("recalculates every product exactly once though one worker is killed and another one frozen in mid-work", async () => {
  const { client, sql } = engine;
  const [killed, frozen, survivor] = engine.processes("pricing-worker") as SpawnedService[];
  if (killed === undefined || frozen === undefined || survivor === undefined) throw new Error("three workers, please");
  expect(await countPrices()).toEqual({ 1000: productCount });

  // Towards 20.00, but each decision may take a step of a tenth: who decides twice is seen by the price.
  const market = [{ name: "double", adjust: { multiply: "2.0" }, reason: "Twice" }];
  const before = await taskOfPolicy();
  // Chunks of the recalculation that the first policy caused would take a step of the new one's too.
  await client.taskEnd(before, 60_000);
  await engine.edit({ pricing: { policy: { market, corridor: { maxStep: "0.10" } } } });
  await eventually(async () => expect(await taskOfPolicy()).not.toBe(before));
  const taskId = await taskOfPolicy();
  await eventually(async () => (await countDone(taskId)) > 100, { intervalMs: 5, timeoutMs: 60_000 });
  await killed.kill();
  frozen.pause();
  expect(await countDone(taskId)).toBeLessThan(productCount);

  const end = await client.taskEnd(taskId, 60_000);
  expect(end).toMatchObject({ status: "succeeded", products: { total: productCount, done: productCount, failed: 0 } });
  expect(await countPrices()).toEqual({ 1100: productCount });

  // The frozen one wakes up with what it had in hand, and finds that it is not its to do any more.
  frozen.resume();
  const [history] = await sql<{ count: number }[]>`select count(*)::int as count from pricing.price_history`;
  const reader = frozen;
  await eventually(async () => (await readMetric(reader, "pricing_engine_kafka_messages_total")) > 0, {
    timeoutMs: 60_000,
  });
  const next = await client.publish();
  expect((await client.taskEnd(next, 60_000)).products).toMatchObject({ total: productCount, done: productCount });
  expect(await countPrices()).toEqual({ 1210: productCount });
  const [later] = await sql<{ count: number }[]>`select count(*)::int as count from pricing.price_history`;
  expect((later?.count ?? 0) - (history?.count ?? 0)).toBe(productCount);
  expect((await frozen.stop()).code).toBe(0);
}, 300_000);

it("shows no older price when a slow fill races an update, and two workers meet on one product", async () => {
  await using slowPath = await startTcpProxy({ target: infra().redisUrl });
  await using slow = await startEngine({
    replicas: { "pricing-worker": 2 },
    pricing: demandIsPrice,
    env: { "pricing-api": { REDIS_URL: `redis://127.0.0.1:${slowPath.port}` } },
  });
  const fast = makeClient((await slow.start("pricing-api", { HTTP_PORT: "0", REDIS_URL: infra().redisUrl })).url);
  try {
    await slow.client.put("raced", { base_price: "0.01" });
    // Its fills arrive after the other one's, and those of its requests that gave up still arrive.
    slowPath.delay(50);
    const moving = movePrice(slow.client, "raced", { everyMs: 5 });
    const load = startLoad(16, (nth) => (nth % 2 === 0 ? slow.client : fast).price("raced"));
    // Meanwhile every recalculation decides on the same product as the events do.
    const recalculations: string[] = [];
    for (let nth = 0; nth < 3; nth += 1) {
      recalculations.push(await slow.client.publish());
      const reached = moving.acknowledged() + 0.2;
      await eventually(() => moving.acknowledged() >= reached, { timeoutMs: 30_000 });
    }
    const taskIds = await moving.stop();
    const target = moving.acknowledged();
    await eventually(async () => expect(priceOf(await fast.price("raced"))).toBe(target), { timeoutMs: 60_000 });
    const observations = await load.stop();
    expect(observations.length).toBeGreaterThan(100);
    expect(failuresOf(observations)).toEqual([]);
    expect(findBacksteps(observations, priceOf)).toEqual([]);

    const ends = await Promise.all([...taskIds, ...recalculations].map((taskId) => slow.client.taskEnd(taskId)));
    expect(new Set(ends.map(({ status }) => status))).toEqual(new Set(["succeeded"]));
    const history = await slow.sql<{ price_minor: string }[]>`
      select price_minor from pricing.price_history where product_id = 'raced' order by sequence`;
    const prices = history.map((row) => Number(row.price_minor));
    expect(prices).toEqual(prices.toSorted((a, b) => a - b));
    expect(prices.at(-1)).toBe(Math.round(target * 100));
  } finally {
    await fast.close();
  }
});
