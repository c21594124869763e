import type { BucketState, TakeRequest } from "./token-bucket-port.ts";

/** What is kept per key: tokens (with their fraction), and the time in ms that they were counted at. */
export type BucketLevel = { tokens: number; atMs: number };

/** A billionth of a token: more than the sums of doubles can be off, less than anybody can save up. */
const tolerance = 1e-9;

/**
 * One step of a bucket. The script of the shared bucket is this function in Lua: one contract suite runs both.
 * A clock that steps back refills nothing; a smaller capacity takes effect at once.
 */
export function stepBucket(
  level: BucketLevel | undefined,
  { capacity, refillPerSecond, cost }: Omit<TakeRequest, "key">,
  nowMs: number,
): { level: BucketLevel; state: BucketState } {
  const atMs = Math.max(nowMs, level?.atMs ?? nowMs);
  const refilled = level === undefined ? capacity : level.tokens + ((atMs - level.atMs) * refillPerSecond) / 1_000;
  const available = Math.min(capacity, refilled);
  const allowed = available + tolerance >= cost;
  const tokens = allowed ? Math.max(0, available - cost) : available;
  const remaining = Math.floor(tokens + tolerance);
  return { level: { tokens, atMs }, state: { allowed, remaining, retryAfterMs: allowed ? 0 : waitMs() } };

  function waitMs(): number {
    if (cost > capacity || refillPerSecond <= 0) return Number.POSITIVE_INFINITY;
    return Math.max(1, Math.ceil(((cost - available) * 1_000) / refillPerSecond - tolerance));
  }
}

/** @throws RangeError for what is no bucket: a fault of the caller, not of the client. */
export function checkRequest({ capacity, refillPerSecond, cost }: Omit<TakeRequest, "key">): void {
  if (!Number.isSafeInteger(capacity) || capacity < 0) throw new RangeError("capacity must be a whole number ≥ 0");
  if (!Number.isFinite(refillPerSecond) || refillPerSecond < 0) throw new RangeError("refillPerSecond must be ≥ 0");
  if (!Number.isSafeInteger(cost) || cost < 0) throw new RangeError("cost must be a whole number ≥ 0");
}
