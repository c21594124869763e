import { makeLogger } from "@pricing-engine/chassis/log";
import { type GuardedRedis, makeRedis } from "@pricing-engine/redis";
import { eventually, makeTestPrefix, makeTestRedis, type TestRedis } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makePriceCache } from "../src/make-price-cache.ts";
import { describeCachePort } from "../src/port.contract.ts";
import { makeRedisPort } from "../src/redis-port.ts";

const logger = makeLogger({ name: "test", level: "fatal" });
let server: TestRedis;
let redis: GuardedRedis;

beforeAll(async () => {
  server = await makeTestRedis();
  // Hundreds of fills at once may take longer on a busy machine than a service gives one command.
  redis = makeRedis({ url: server.url, logger, commandTimeoutMs: 2_000 });
  await eventually(() => redis.client.status === "ready", { timeoutMs: 5_000 });
});
afterAll(async () => {
  await redis.close();
  await server.close();
});

describe("the port on Redis", () => {
  describeCachePort(() => makeRedisPort({ redis, prefix: makeTestPrefix() }), {
    pass: async (durationMs) => {
      // Redis' own clock decides when a key is gone.
      const startedMs = performance.now();
      await eventually(() => performance.now() - startedMs > durationMs, { timeoutMs: 5_000 });
    },
    empty: () => server.empty(),
  });
});

describe("the cache through an outage", () => {
  it("misses while Redis is away, and takes no entry from before it", async () => {
    const cache = makePriceCache({ redis, prefix: makeTestPrefix() });
    const context = { product_id: "p" };
    const facts = { sequence: 1, policyVersion: 1 };
    const body = Buffer.from("one");
    const lookup = await cache.lookup(context);
    if (lookup.outcome === "hit") throw new Error("nothing was stored yet");
    expect(await cache.fill(lookup.ticket, facts, body, 60_000)).toEqual({ outcome: "stored" });
    expect((await cache.lookup(context)).outcome).toBe("hit");

    await server.stop();
    const away = await eventually(
      async () => {
        const found = await cache.lookup(context);
        return found.outcome === "miss" && found.ticket.generation === undefined ? found : undefined;
      },
      { timeoutMs: 5_000 },
    );
    if (away === undefined) throw new Error("Redis is away");
    const newer = { sequence: 2, policyVersion: 1 };
    expect(await cache.fill(away.ticket, newer, Buffer.from("two"), 60_000)).toEqual({ outcome: "away" });
    await expect(cache.markSequences([{ productId: "p", sequence: 2 }])).rejects.toMatchObject({
      code: "redis_unavailable",
    });

    await server.start();
    await eventually(
      async () => {
        const found = await cache.lookup(context);
        return found.outcome === "miss" && found.ticket.generation !== undefined;
      },
      { timeoutMs: 10_000 },
    );
  });
});
