import { eventually, makeTestRedis, startTcpProxy, type TcpProxy, type TestRedis } from "@pricing-engine/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Engine, startEngine } from "../support/engine.ts";
import { failuresOf, findBacksteps, startLoad } from "../support/load.ts";
import { demandIsPrice, movePrice, priceOf } from "../support/moving-price.ts";

let redis: TestRedis;
let path: TcpProxy;
let engine: Engine;

beforeAll(async () => {
  redis = await makeTestRedis();
  path = await startTcpProxy({ target: redis.url });
  engine = await startEngine({
    replicas: { gateway: 2, "pricing-worker": 1 },
    redisUrl: `redis://127.0.0.1:${path.port}`,
    pricing: { ...demandIsPrice, cacheTtl: "30s" },
  });
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  await path?.close();
  await redis?.close();
});

interface Fault {
  readonly name: string;
  /**
   * How late an older answer may come. The promise for an outage is `cacheTtl` (30 s here), since processes notice it one after the
   * other: a hit that was on its way when another process had already turned to Postgres. Far less than that is held.
   */
  readonly toleranceMs: number;
  strike(): Promise<unknown>;
  heal(): unknown;
}

const faults: readonly Fault[] = [
  { name: "is emptied", toleranceMs: 0, strike: () => redis.empty(), heal: () => redis.empty() },
  {
    name: "is stopped, and starts again empty",
    toleranceMs: 0,
    strike: () => redis.stop(),
    heal: () => redis.start(),
  },
  {
    name: "hangs, and goes on with all that it had",
    toleranceMs: 1000,
    strike: async () => path.blackhole(),
    heal: () => path.restore(),
  },
  { name: "loses its connections", toleranceMs: 0, strike: async () => path.cut(), heal: () => path.restore() },
];

for (const { name, toleranceMs, strike, heal } of faults) {
  it(`answers every price, and none older than one shown before, while Redis ${name}`, async () => {
    const { client } = engine;
    const productId = `seat ${name}`;
    await client.put(productId, { base_price: "0.01" });
    const moving = movePrice(client, productId);
    const load = startLoad(16, () => client.price(productId));
    const countComputed = (): number =>
      load.observations.filter(({ result }) => result.ok && result.value.source === "database").length;
    const answered = async (more: number): Promise<void> => {
      const { length } = load.observations;
      await eventually(() => load.observations.length >= length + more, { timeoutMs: 60_000 });
    };
    const moved = async (): Promise<void> => {
      const before = moving.acknowledged();
      await eventually(() => moving.acknowledged() >= before + 0.1, { timeoutMs: 60_000 });
    };
    await answered(100);
    const computedBefore = countComputed();
    await strike();
    await Promise.all([answered(300), moved()]);
    expect(countComputed(), "answers from Postgres").toBeGreaterThan(computedBefore);
    await heal();
    await Promise.all([answered(300), moved()]);
    const taskIds = await moving.stop();
    const target = moving.acknowledged();
    await eventually(async () => expect(priceOf(await client.price(productId))).toBe(target), { timeoutMs: 60_000 });
    const observations = await load.stop();

    expect(failuresOf(observations)).toEqual([]);
    expect(findBacksteps(observations, priceOf).filter(({ lateByMs }) => lateByMs > toleranceMs)).toEqual([]);
    // And the cache is in use again.
    await eventually(async () => expect((await client.price(productId)).source).toBe("cache"));
    const ends = await Promise.all(taskIds.map((taskId) => client.taskEnd(taskId)));
    expect(new Set(ends.map(({ status }) => status))).toEqual(new Set(["succeeded"]));
  });
}
