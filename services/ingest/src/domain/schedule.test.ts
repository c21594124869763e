import fc from "fast-check";
import { expect, it } from "vitest";
import { breakerAfter, nextAttemptMs } from "./schedule.ts";

it("waits an interval after a success and longer with each failure", () => {
  expect(nextAttemptMs({ ok: true }, { failures: 0, intervalMs: 300_000, random: 0.5 })).toBe(285_000);
  const waits = [1, 2, 3, 4].map((failures) =>
    nextAttemptMs({ ok: false }, { failures, intervalMs: 300_000, random: 1 }),
  );
  expect(waits).toEqual([1000, 2000, 4000, 8000]);
  expect(breakerAfter(4)).toBe("closed");
  expect(breakerAfter(5)).toBe("open");
  expect(nextAttemptMs({ ok: false, retryAfterMs: 5000 }, { failures: 1, intervalMs: 300_000, random: 1 })).toBe(5000);
});

it("never waits longer than max(interval, 10 s), and never polls faster than half a second after a failure", () => {
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.option(fc.nat(10_000_000), { nil: undefined }),
      fc.integer({ min: 1, max: 10_000 }),
      fc.integer({ min: 1000, max: 86_400_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (ok, retryAfterMs, failures, intervalMs, random) => {
        const waitMs = nextAttemptMs({ ok, retryAfterMs }, { failures, intervalMs, random });
        return waitMs >= 500 && waitMs <= Math.max(intervalMs, 10_000);
      },
    ),
  );
});
