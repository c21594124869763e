import fc from "fast-check";
import { expect, test } from "vitest";
import { makeLocalTokenBucket } from "./local-token-bucket.ts";

const seed = Number(process.env.SIM_SEED ?? 1);

test("over any run, no more is given out than capacity plus what was refilled, whatever the clock does", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.integer({ min: 1, max: 20 }),
      fc.double({ min: 0, max: 50, noNaN: true }),
      fc.array(fc.record({ cost: fc.integer({ min: 0, max: 5 }), stepMs: fc.integer({ min: -500, max: 2_000 }) }), {
        maxLength: 60,
      }),
      async (scheduler, capacity, refillPerSecond, calls) => {
        let nowMs = 10_000;
        let latestMs = nowMs;
        const bucket = makeLocalTokenBucket({ now: () => nowMs });
        let given = 0;
        const run = scheduler.scheduleFunction(async (cost: number, stepMs: number) => {
          nowMs += stepMs;
          latestMs = Math.max(latestMs, nowMs);
          const state = await bucket.take({ key: "tenant", capacity, refillPerSecond, cost });
          if (state.allowed) given += cost;
          expect(state.remaining).toBeGreaterThanOrEqual(0);
          expect(state.remaining).toBeLessThanOrEqual(capacity);
          expect(given).toBeLessThanOrEqual(capacity + ((latestMs - 10_000) * refillPerSecond) / 1_000 + 1e-6);
        });
        const running = calls.map(({ cost, stepMs }) => run(cost, stepMs));
        await scheduler.waitFor(Promise.all(running));
      },
    ),
    { numRuns: 2_000, seed },
  );
});

test("a refusal's wait is enough, and one millisecond less is not", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 50 }),
      fc.double({ min: 0.01, max: 100, noNaN: true }),
      fc.integer({ min: 1, max: 50 }),
      async (capacity, refillPerSecond, wanted) => {
        const cost = Math.min(wanted, capacity);
        for (const early of [0, 1]) {
          let nowMs = 0;
          const bucket = makeLocalTokenBucket({ now: () => nowMs });
          const take = (tokens: number) => bucket.take({ key: "k", capacity, refillPerSecond, cost: tokens });
          await take(capacity);
          const { retryAfterMs } = await take(cost);
          nowMs = retryAfterMs - early;
          expect((await take(cost)).allowed).toBe(early === 0);
        }
      },
    ),
    { numRuns: 2_000, seed },
  );
});
