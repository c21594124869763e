import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decideRestart, defaultRestartPolicy as policy } from "./restart.ts";

describe("restart policy", () => {
  test.each([
    [0, 0, 0, { failures: 1, delayMs: 125, crashLoop: false }],
    [0, 0, 0.999999, { failures: 1, delayMs: 250, crashLoop: false }],
    [1, 9_999, 0, { failures: 2, delayMs: 250, crashLoop: false }],
    [2, 0, 0, { failures: 3, delayMs: 500, crashLoop: true }],
    [50, 0, 0, { failures: 51, delayMs: 15_000, crashLoop: true }],
    [50, 10_000, 0, { failures: 1, delayMs: 125, crashLoop: false }],
  ])("after %i failures and %i ms of readiness", (failures, readyForMs, random, expected) => {
    expect(decideRestart(failures, readyForMs, random)).toEqual(expected);
  });

  test("delays stay within half and whole of the growing bound", () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.double({ min: 0, max: 0.999, noNaN: true }), (failures, random) => {
        const { delayMs } = decideRestart(failures, 0, random);
        const bound = Math.min(policy.maxMs, policy.baseMs * 2 ** failures);
        expect(delayMs).toBeGreaterThanOrEqual(Math.floor(bound / 2));
        expect(delayMs).toBeLessThanOrEqual(bound);
      }),
    );
  });
});
