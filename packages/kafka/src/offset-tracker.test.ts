import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeOffsetTracker } from "./offset-tracker.ts";

describe("offset tracker", () => {
  it("moves the frontier over what is contiguous only", () => {
    const tracker = makeOffsetTracker(5n);
    for (const offset of [5n, 6n, 9n]) tracker.track(offset);
    tracker.finish(6n);
    expect(tracker.frontier()).toBe(5n);
    tracker.finish(5n);
    expect(tracker.frontier()).toBe(9n);
    tracker.skipTo(12n);
    expect(tracker.frontier()).toBe(9n);
    tracker.finish(9n);
    expect(tracker.frontier()).toBe(12n);
  });

  it("takes nothing twice", () => {
    const tracker = makeOffsetTracker(0n);
    expect(tracker.track(3n)).toBe(true);
    expect(tracker.track(3n)).toBe(false);
    expect(tracker.track(1n)).toBe(false);
    expect(tracker.finish(3n)).toBe(true);
    expect(tracker.finish(3n)).toBe(false);
  });

  it("equals its definition for any gaps and any order of finishing", () => {
    const gaps = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(gaps, fc.infiniteStream(fc.nat()), (steps, picks) => {
        const tracker = makeOffsetTracker(0n);
        const open: bigint[] = [];
        let next = -1n;
        for (const step of steps) {
          next += BigInt(step);
          tracker.track(next);
          open.push(next);
        }
        const end = next + 1n;
        let before = tracker.frontier();
        while (open.length > 0) {
          const [finished] = open.splice(picks.next().value % open.length, 1);
          if (finished !== undefined) tracker.finish(finished);
          const [lowestOpen = end] = open.toSorted((a, b) => Number(a - b));
          expect(tracker.frontier()).toBe(lowestOpen);
          expect(tracker.frontier() >= before).toBe(true);
          before = tracker.frontier();
        }
        expect(tracker.size()).toBe(0);
      }),
    );
  });

  it("stays right when its queue is compacted", () => {
    const tracker = makeOffsetTracker(0n);
    for (let offset = 0n; offset < 5_000n; offset += 1n) {
      tracker.track(offset);
      if (offset >= 100n) tracker.finish(offset - 100n);
    }
    expect(tracker.frontier()).toBe(4_900n);
    expect(tracker.size()).toBe(100);
  });
});
