import { randomUUID } from "node:crypto";
import type { Lifecycle } from "@pricing-engine/chassis/lifecycle";
import type { GuardedRedis } from "@pricing-engine/redis";
import { goneAfterMs, type Headcount, liveGateways, noteHeadcount } from "../domain/live-gateways.ts";

const beatEveryMs = 5_000;

/** Counts the gateways of an engine through heartbeats in Redis; an outage keeps what was counted before it. */
export function startCensus(deps: { redis: GuardedRedis; prefix: string; lifecycle: Lifecycle }): () => number {
  const { redis, prefix, lifecycle } = deps;
  const key = `${prefix}gateways`;
  const id = randomUUID();
  let counts: readonly Headcount[] = [];

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
    if (typeof count === "number" && count >= 1) counts = noteHeadcount(counts, { count, atMs: performance.now() });
  }

  const tick = (): void => void beat().catch(() => undefined);
  tick();
  const timer = setInterval(tick, beatEveryMs);
  lifecycle.defer("gateway census", async () => {
    clearInterval(timer);
    await redis.guarded((client) => client.zrem(key, id)).catch(() => undefined);
  });
  return () => liveGateways(counts);
}
