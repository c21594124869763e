import { expect, it } from "vitest";
import type { TokenBucket } from "../src/token-bucket-port.ts";

/** What every implementation must keep. `advance` moves the bucket's clock (or waits for it). */
export function describeTokenBucket(make: () => { bucket: TokenBucket; advance: (ms: number) => Promise<void> }): void {
  const limits = { capacity: 3, refillPerSecond: 10 };
  let made = 0;
  const freshKey = () => `key-${++made}`;

  it("starts full, gives each token once, then says how long to wait", async () => {
    const { bucket } = make();
    const key = freshKey();
    const slow = { key, capacity: 3, refillPerSecond: 0.01, cost: 1 };
    expect((await bucket.take(slow)).remaining).toBe(2);
    expect((await bucket.take(slow)).remaining).toBe(1);
    expect(await bucket.take(slow)).toEqual({ allowed: true, remaining: 0, retryAfterMs: 0 });
    const refused = await bucket.take(slow);
    expect(refused).toMatchObject({ allowed: false, remaining: 0 });
    expect(refused.retryAfterMs).toBeGreaterThan(90_000);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(100_000);
  });

  it("never gives the same last token twice", async () => {
    const { bucket } = make();
    const key = freshKey();
    const takes = Array.from({ length: 50 }, () => bucket.take({ key, capacity: 20, refillPerSecond: 0.001, cost: 1 }));
    expect((await Promise.all(takes)).filter((state) => state.allowed)).toHaveLength(20);
  });

  it("looks without taking", async () => {
    const { bucket } = make();
    const key = freshKey();
    for (let look = 0; look < 5; look++) expect((await bucket.peek({ key, ...limits })).remaining).toBe(3);
  });

  it("has the tokens when it said it would", async () => {
    const { bucket, advance } = make();
    const key = freshKey();
    // One right behind the other: with the first answer awaited, the tokens could be back by the second.
    const [, { allowed, retryAfterMs }] = await Promise.all([
      bucket.take({ key, ...limits, cost: 3 }),
      bucket.take({ key, ...limits, cost: 2 }),
    ]);
    expect(allowed).toBe(false);
    await advance(retryAfterMs);
    expect((await bucket.take({ key, ...limits, cost: 2 })).allowed).toBe(true);
  });

  it("refuses for ever what can never be", async () => {
    const { bucket } = make();
    const key = freshKey();
    expect(await bucket.take({ key, ...limits, cost: 4 })).toEqual({
      allowed: false,
      remaining: 3,
      retryAfterMs: Infinity,
    });
    const dry = { key: freshKey(), capacity: 1, refillPerSecond: 0, cost: 1 };
    expect((await bucket.take(dry)).allowed).toBe(true);
    expect((await bucket.take(dry)).retryAfterMs).toBe(Infinity);
  });

  it("takes over a changed capacity at once", async () => {
    const { bucket } = make();
    const key = freshKey();
    await bucket.take({ key, capacity: 100, refillPerSecond: 0.001, cost: 1 });
    expect((await bucket.peek({ key, capacity: 5, refillPerSecond: 0.001 })).remaining).toBe(5);
  });

  it("keeps keys apart", async () => {
    const { bucket } = make();
    await bucket.take({ key: freshKey(), ...limits, cost: 3 });
    expect((await bucket.take({ key: freshKey(), ...limits, cost: 3 })).allowed).toBe(true);
  });

  it("refuses a request that is no bucket", async () => {
    const { bucket } = make();
    await expect(bucket.take({ key: "k", capacity: 1.5, refillPerSecond: 1, cost: 1 })).rejects.toThrow(RangeError);
    await expect(bucket.take({ key: "k", capacity: 1, refillPerSecond: Number.NaN, cost: 1 })).rejects.toThrow(
      RangeError,
    );
    await expect(bucket.take({ key: "k", capacity: 1, refillPerSecond: 1, cost: -1 })).rejects.toThrow(RangeError);
  });
}
