import { type BucketLevel, checkRequest, stepBucket } from "./bucket-math.ts";
import type { TakeRequest, TokenBucket } from "./token-bucket-port.ts";

/**
 * Buckets of this process alone, for an outage of Redis; give it capacity and refill ÷ live gateways. At most `maxKeys`
 * are kept, the least recently used go first.
 */
export function makeLocalTokenBucket({ now, maxKeys = 10_000 }: { now: () => number; maxKeys?: number }): TokenBucket {
  const levels = new Map<string, BucketLevel>();

  async function take(request: TakeRequest) {
    checkRequest(request);
    const { level, state } = stepBucket(levels.get(request.key), request, now());
    // A map keeps the order of insertion: taken out and put back, the first is the one unused for longest.
    levels.delete(request.key);
    levels.set(request.key, level);
    if (levels.size > maxKeys) {
      for (const oldest of levels.keys()) {
        levels.delete(oldest);
        break;
      }
    }
    return state;
  }

  return { take, peek: (request) => take({ ...request, cost: 0 }) };
}
