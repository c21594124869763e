import type { RateLimitSettings } from "@pricing-engine/contracts";
import { isRedisOutage, type TokenBucket } from "@pricing-engine/redis";
import { type Limit, limitOf } from "../domain/rate-limit.ts";

export type Taken = { allowed: boolean; limit: Limit; remaining: number; retryAfterMs: number };
/** `cost` 0 looks and takes nothing; default 1. */
export type TakeToken = (settings: RateLimitSettings, tenant: string, cost?: 0 | 1) => Promise<Taken>;

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
  return async (settings, tenant, cost = 1) => {
    const limit = limitOf(settings, tenant);
    try {
      return { limit, ...(await deps.shared.take({ key: tenant, ...limit, cost })) };
    } catch (error) {
      if (!isRedisOutage(error)) throw error;
      const gateways = Math.max(1, deps.liveGateways());
      const capacity = Math.max(1, Math.floor(limit.capacity / gateways));
      const refillPerSecond = limit.refillPerSecond / gateways;
      return { limit, ...(await deps.local.take({ key: tenant, capacity, refillPerSecond, cost })) };
    }
  };
}
