import { randomUUID } from "node:crypto";
import type { Lifecycle } from "@pricing-engine/chassis/lifecycle";
import type { GuardedRedis } from "@pricing-engine/redis";

const beatEveryMs = 5_000;
const goneAfterMs = 15_000;

/** Counts the gateways of an engine through heartbeats in Redis; an outage keeps the last count. */
export function startCensus(deps: { redis: GuardedRedis; prefix: string; lifecycle: Lifecycle }): () => number {
  const { redis, prefix, lifecycle } = deps;
  const key = `${prefix}gateways`;
  const id = randomUUID();
  let alive = 1;

  async function beat(): Promise<void> {
    const nowMs = Date.now();
    const results = await redis.guarded((client) =>
      client
        .multi()
        .zadd(key, nowMs, id)
        .zremrangebyscore(key, "-inf", nowMs - goneAfterMs)
        .zcard(key)
        .pexpire(key, goneAfterMs)
        .exec(),
    );
    const count = results?.[2]?.[1];
    if (typeof count === "number" && count >= 1) alive = count;
  }

  const tick = (): void => void beat().catch(() => undefined);
  tick();
  const timer = setInterval(tick, beatEveryMs);
  lifecycle.defer("gateway census", async () => {
    clearInterval(timer);
    await redis.guarded((client) => client.zrem(key, id)).catch(() => undefined);
  });
  return () => alive;
}
