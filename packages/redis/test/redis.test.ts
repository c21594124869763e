import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError } from "@pricing-engine/chassis/errors";
import { makeLifecycle } from "@pricing-engine/chassis/lifecycle";
import { makeLogger } from "@pricing-engine/chassis/log";
import { registry } from "@pricing-engine/chassis/metrics";
import {
  eventually,
  infra,
  makeTestPrefix,
  makeTestRedis,
  startTcpProxy,
  type TcpProxy,
  type TestRedis,
} from "@pricing-engine/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type GuardedRedis, makeRedis, makeTokenBucket, pushSettings, watchSettings } from "../src/index.ts";
import { describeTokenBucket } from "./bucket-contract.ts";

const logger = makeLogger({ name: "test", level: "silent" });
const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

function connect(url: string, commandTimeoutMs = 2_000) {
  const redis = makeRedis({ url, logger, commandTimeoutMs });
  stops.push(redis.close);
  return redis;
}

async function connected(url: string, commandTimeoutMs?: number) {
  const redis = connect(url, commandTimeoutMs);
  await eventually(() => expect(redis.client.status).toBe("ready"));
  return redis;
}

const breakerMetric = async (): Promise<number> => {
  const text = await registry.getSingleMetricAsString("pricing_engine_breaker_open");
  return Number(/breaker="redis"\} (\d)/.exec(text)?.[1]);
};

describe("shared token bucket", () => {
  let shared: ReturnType<typeof makeRedis>;
  const prefix = makeTestPrefix();
  beforeAll(async () => {
    shared = makeRedis({ url: infra().redisUrl, logger, commandTimeoutMs: 2_000 });
    await eventually(() => expect(shared.client.status).toBe("ready"));
  });
  afterAll(async () => {
    const keys = await shared.client.keys(`${prefix}*`);
    if (keys.length > 0) await shared.client.del(...keys);
    await shared.close();
  });

  describeTokenBucket(() => {
    const bucket = makeTokenBucket({ redis: shared, prefix: `${prefix}${Math.random()}` });
    // Redis' own clock: the wait is part of what is tested.
    return { bucket, advance: (ms) => new Promise((resolve) => setTimeout(resolve, ms + 5)) };
  });

  it("two processes never take the same last token, and every key expires", async () => {
    const other = await connected(infra().redisUrl);
    const buckets = [shared, other].map((redis) => makeTokenBucket({ redis, prefix }));
    const request = { key: "both", capacity: 100, refillPerSecond: 0.01, cost: 1 };
    const takes = buckets.flatMap((bucket) => Array.from({ length: 80 }, () => bucket.take(request)));
    expect((await Promise.all(takes)).filter((state) => state.allowed)).toHaveLength(100);
    expect(await shared.client.pttl(`${prefix}bucket:both`)).toBeGreaterThan(0);
  });
});

describe("a Redis that fails", () => {
  let server: TestRedis;
  let proxy: TcpProxy;
  beforeAll(async () => {
    server = await makeTestRedis();
    proxy = await startTcpProxy({ target: server.url });
  });
  afterAll(async () => {
    await proxy.close();
    await server.close();
  });
  const viaProxy = () => `redis://127.0.0.1:${proxy.port}`;

  it("that hangs costs nothing after the first failures, and is used again once it answers", async () => {
    const redis = await connected(viaProxy(), 150);
    proxy.blackhole();
    const failures = await Promise.allSettled([1, 2, 3].map(() => redis.guarded((client) => client.get("a"))));
    for (const failure of failures) {
      expect(failure).toMatchObject({ status: "rejected", reason: { code: "redis_unavailable" } });
    }
    expect(await breakerMetric()).toBe(1);
    const startedMs = performance.now();
    let sent = 0;
    const probe = (client: GuardedRedis["client"]) => {
      sent += 1;
      return client.get("a");
    };
    for (let call = 0; call < 200; call++) await expect(redis.guarded(probe)).rejects.toBeInstanceOf(AppError);
    // One probe every 500 ms is waited for; nothing else is even sent.
    expect(sent).toBeLessThanOrEqual(1 + (performance.now() - startedMs) / 500);
    expect(redis.isAvailable()).toBe(false);
    proxy.restore();
    await eventually(() => redis.guarded((client) => client.ping()));
    expect(redis.isAvailable()).toBe(true);
    expect(await breakerMetric()).toBe(0);
  });

  it("that was away is announced, and nothing that was sent meanwhile runs later", async () => {
    const redis = await connected(viaProxy());
    let reconnects = 0;
    redis.onReconnect(() => reconnects++);
    proxy.cut();
    await expect(redis.guarded((client) => client.incr("counter"))).rejects.toMatchObject({
      code: "redis_unavailable",
    });
    expect(reconnects).toBe(0);
    proxy.restore();
    await eventually(() => expect(reconnects).toBe(1));
    await eventually(async () => expect(await redis.guarded((client) => client.get("counter"))).toBeNull());
  });

  it("that hangs just as a subscriber is back costs no rejection that nobody handles", async () => {
    const subscriber = (await connected(viaProxy(), 150)).duplicate();
    const ready = (): Promise<void> => new Promise((resolve) => subscriber.once("ready", () => resolve()));
    await ready();
    await eventually(() => subscriber.subscribe("a"));
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on("unhandledRejection", note);
    stops.push(async () => process.off("unhandledRejection", note));
    proxy.cut();
    const back = ready().then(() => proxy.blackhole());
    proxy.restore();
    await back;
    // It is sent after whatever the client sends by itself, so it is given up later.
    await expect(subscriber.subscribe("b")).rejects.toThrow("timed out");
    proxy.restore();
    expect(unhandled).toEqual([]);
  });

  it("is connected to anew when its connection hangs", async () => {
    const redis = await connected(viaProxy(), 150);
    let reconnects = 0;
    redis.onReconnect(() => {
      reconnects += 1;
    });
    const set = () => redis.guarded((client) => client.set("after", "1"));
    // Only busy: after some failures the same connection is used again.
    proxy.hang();
    stops.push(async () => proxy.restore());
    setTimeout(() => proxy.restore(), 4_000);
    await eventually(set, { timeoutMs: 15_000 });
    expect(reconnects).toBe(0);
    proxy.hang();
    await eventually(set, { timeoutMs: 30_000 });
    expect(reconnects).toBe(1);
    expect(redis.isAvailable()).toBe(true);
  }, 60_000);

  it("that is down from the start is an outage, not a crash", async () => {
    await server.stop();
    const redis = connect(server.url);
    await expect(redis.guarded((client) => client.get("a"))).rejects.toMatchObject({ code: "redis_unavailable" });
    await server.start();
    await eventually(() => redis.guarded((client) => client.ping()));
  });

  it("passes on what is the caller's own fault, however often, without opening", async () => {
    const redis = await connected(server.url);
    await redis.client.set("text", "x");
    for (let call = 0; call < 10; call++) {
      await expect(redis.guarded((client) => client.incr("text"))).rejects.toThrow(/not an integer/);
    }
    expect(redis.isAvailable()).toBe(true);
  });
});

describe("live settings", () => {
  const schema = z.object({ ttlMs: z.int().positive() });

  async function watch(url: string, prefix: string, file?: string, followsRenewals = false) {
    const lifecycle = makeLifecycle({ logger, graceMs: 1_000 });
    stops.push(() => lifecycle.shutdown("test"));
    const seen: number[] = [];
    const renewed: number[] = [];
    const redis = connect(url);
    const watching = watchSettings({
      redis,
      prefix,
      file,
      schema,
      logger,
      lifecycle,
      pollMs: 200,
      onChange: ({ ttlMs }) => void seen.push(ttlMs),
      ...(followsRenewals ? { onRenewal: ({ ttlMs }: z.output<typeof schema>) => void renewed.push(ttlMs) } : {}),
    });
    return { seen, renewed, watching, lifecycle, redis };
  }

  it("are written by compare-and-set on (epoch, revision, renewal)", async () => {
    const redis = await connected(infra().redisUrl);
    const prefix = makeTestPrefix();
    stops.push(() => redis.client.del(`${prefix}settings`));
    const push = (epoch: number, revision: number, renewal?: number) =>
      pushSettings(redis, prefix, { epoch, revision, renewal, settings: {} });
    expect(await push(2, 5)).toBe("written");
    expect(await push(2, 5)).toBe("unchanged");
    expect(await push(2, 4)).toBe("stale");
    expect(await push(1, 9)).toBe("stale");
    expect(await push(2, 5, 1)).toBe("written");
    expect(await push(2, 5, 1)).toBe("unchanged");
    expect(await push(2, 5)).toBe("stale");
    expect(await push(2, 4, 9)).toBe("stale");
    expect(await push(2, 6)).toBe("written");
    expect(await push(2, 5, 2)).toBe("stale");
    expect(await push(3, 0)).toBe("written");
    await redis.client.set(`${prefix}settings`, "garbage");
    expect(await push(1, 1)).toBe("written");
  });

  it("come from the file first, then from Redis; bad and old ones change nothing", async () => {
    const folder = await mkdtemp(join(tmpdir(), "settings-"));
    stops.push(() => rm(folder, { recursive: true }));
    const file = join(folder, "settings.json");
    await writeFile(file, JSON.stringify({ epoch: 1, revision: 1, settings: { ttlMs: 1 } }));
    const prefix = makeTestPrefix();
    const { seen, watching, redis } = await watch(infra().redisUrl, prefix, file);
    const settings = await watching;
    expect(settings.current()).toEqual({ ttlMs: 1 });
    await eventually(() => expect(redis.isAvailable()).toBe(true));
    stops.push(() => redis.client.del(`${prefix}settings`));
    await pushSettings(redis, prefix, { epoch: 1, revision: 2, settings: { ttlMs: 2 } });
    await eventually(() => expect(settings.current()).toEqual({ ttlMs: 2 }));
    await pushSettings(redis, prefix, { epoch: 1, revision: 3, settings: { ttlMs: -1 } });
    await redis.client.set(`${prefix}settings`, JSON.stringify({ epoch: 1, revision: 1, settings: { ttlMs: 9 } }));
    await pushSettings(redis, prefix, { epoch: 1, revision: 4, settings: { ttlMs: 4 } });
    await eventually(() => expect(settings.current()).toEqual({ ttlMs: 4 }));
    expect(seen).toEqual([1, 2, 4]);
  });

  it("that are renewed are told to who asks for it, and to nobody as a change", async () => {
    const prefix = makeTestPrefix();
    const [asking, other] = [
      await watch(infra().redisUrl, prefix, undefined, true),
      await watch(infra().redisUrl, prefix),
    ];
    await eventually(() => expect(asking.redis.isAvailable()).toBe(true));
    stops.push(() => asking.redis.client.del(`${prefix}settings`));
    const push = (revision: number, renewal: number, ttlMs: number) =>
      pushSettings(asking.redis, prefix, { epoch: 1, revision, renewal, settings: { ttlMs } });
    await push(1, 0, 10);
    const [settings] = [await asking.watching, await other.watching];
    await push(1, 1, 11);
    await eventually(() => expect(asking.renewed).toEqual([11]));
    expect(settings.current()).toEqual({ ttlMs: 11 });
    await push(1, 2, 12);
    await push(2, 0, 20);
    await eventually(() =>
      expect([asking.seen, asking.renewed, other.seen]).toEqual([
        [10, 20],
        [11, 12],
        [10, 20],
      ]),
    );
  });

  it("reach a reader that waits for them, also when Redis comes late and was emptied", async () => {
    await using server = await makeTestRedis();
    await server.stop();
    const { seen, watching, redis } = await watch(server.url, "p.");
    await server.start();
    await eventually(() => pushSettings(redis, "p.", { epoch: 1, revision: 1, settings: { ttlMs: 7 } }));
    expect((await watching).current()).toEqual({ ttlMs: 7 });
    await server.empty();
    expect(await pushSettings(redis, "p.", { epoch: 1, revision: 2, settings: { ttlMs: 8 } })).toBe("written");
    await eventually(() => expect(seen).toEqual([7, 8]));
  });

  it("that never come end with the lifecycle", async () => {
    const { watching, lifecycle } = await watch(infra().redisUrl, makeTestPrefix());
    await Promise.all([lifecycle.shutdown("test"), expect(watching).rejects.toMatchObject({ code: "unavailable" })]);
  });
});
