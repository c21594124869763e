import { describe, expect, it } from "vitest";
import { describeTokenBucket } from "../test/bucket-contract.ts";
import { makeLocalTokenBucket } from "./local-token-bucket.ts";

describe("local token bucket", () => {
  describeTokenBucket(() => {
    let nowMs = 1_000;
    const advance = async (ms: number) => {
      nowMs += ms;
    };
    return { bucket: makeLocalTokenBucket({ now: () => nowMs }), advance };
  });

  it("forgets the key unused for longest when it has too many", async () => {
    const bucket = makeLocalTokenBucket({ now: () => 0, maxKeys: 2 });
    const take = (key: string) => bucket.take({ key, capacity: 1, refillPerSecond: 0.1, cost: 1 });
    await take("a");
    await take("b");
    await take("a");
    await take("c");
    expect((await take("a")).allowed).toBe(false);
    expect((await take("b")).allowed).toBe(true);
  });
});
