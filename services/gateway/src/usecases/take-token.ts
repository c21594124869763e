import type { RateLimitSettings } from "@pricing-engine/contracts";
import { isRedisOutage, type TokenBucket } from "@pricing-engine/redis";
import { type Limit, limitOf } from "../domain/rate-limit.ts";

export type Taken = { allowed: boolean; limit: Limit; remaining: number; retryAfterMs: number };
export type TakeToken = (settings: RateLimitSettings, tenant: string) => Promise<Taken>;

/**
 * Takes one of the tenant's tokens, from the bucket that all gateways share; while Redis is away from a local one,
 * which holds this gateway's part.
 */
export function makeTakeToken(deps: {
  shared: TokenBucket;
  local: TokenBucket;
  /** Gateways that were alive when Redis could last be asked. */
  liveGateways: () => number;
}): TakeToken {
  return async (settings, tenant) => {
    const limit = limitOf(settings, tenant);
    try {
      return { limit, ...(await deps.shared.take({ key: tenant, ...limit, cost: 1 })) };
    } catch (error) {
      if (!isRedisOutage(error)) throw error;
      const gateways = Math.max(1, deps.liveGateways());
      const capacity = Math.max(1, Math.floor(limit.capacity / gateways));
      const refillPerSecond = limit.refillPerSecond / gateways;
      return { limit, ...(await deps.local.take({ key: tenant, capacity, refillPerSecond, cost: 1 })) };
    }
  };
}
