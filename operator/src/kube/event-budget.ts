/** A token bucket per object: one that flaps must not drown the events of others, nor the API server. */
export interface EventBudget {
  take(object: string, nowMs: number): boolean;
}

export function makeEventBudget(options: {
  readonly burst: number;
  readonly refillMs: number;
  readonly maxObjects: number;
}): EventBudget {
  const { burst, refillMs, maxObjects } = options;
  /** The one that was used last comes last. */
  const buckets = new Map<string, { tokens: number; atMs: number }>();
  return {
    take(object, nowMs) {
      const { tokens, atMs } = buckets.get(object) ?? { tokens: burst, atMs: nowMs };
      const filled = Math.min(burst, tokens + (nowMs - atMs) / refillMs);
      const taken = filled >= 1;
      buckets.delete(object);
      buckets.set(object, { tokens: taken ? filled - 1 : filled, atMs: nowMs });
      for (const oldest of buckets.keys()) {
        if (buckets.size <= maxObjects) break;
        buckets.delete(oldest);
      }
      return taken;
    },
  };
}
