import { setTimeout as delay } from "node:timers/promises";
import { makeLifecycle } from "@pricing-engine/chassis/lifecycle";
import { makeLogger } from "@pricing-engine/chassis/log";
import { makeRedis } from "@pricing-engine/redis";
import { eventually, makeTestRedis } from "@pricing-engine/testkit";
import { expect, it, onTestFinished } from "vitest";
import { startCensus } from "../src/adapters/census.ts";

const logger = makeLogger({ name: "census-test", level: "silent" });

it("two gateways count two, also in the seconds after Redis lost its data", async () => {
  const server = await makeTestRedis();
  onTestFinished(() => server.close());
  const redis = makeRedis({ url: server.url, logger });
  onTestFinished(() => redis.close());
  const lifecycle = makeLifecycle({ logger, graceMs: 1_000 });
  onTestFinished(async () => void (await lifecycle.shutdown("the test has ended")));
  const start = () => startCensus({ redis, prefix: "test.", lifecycle });
  const first = start();
  // Apart from each other, as their heartbeats are from then on.
  await delay(1_000);
  const second = start();
  await eventually(() => expect([first(), second()]).toEqual([2, 2]), { timeoutMs: 10_000 });

  await server.empty();
  let least = 2;
  const watch = setInterval(() => {
    least = Math.min(least, first(), second());
  }, 20);
  // Each has been heard of again by then, one of them a second before the other.
  await delay(6_000);
  clearInterval(watch);
  expect(least).toBe(2);
}, 40_000);
