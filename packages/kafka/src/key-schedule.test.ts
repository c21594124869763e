import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeKeySchedule, type Scheduled } from "./key-schedule.ts";

const works = fc.array(fc.option(fc.integer({ min: 0, max: 5 }), { freq: 8 }), { maxLength: 80 });

describe("key schedule", () => {
  it("refuses a concurrency below 1", () => {
    expect(() => makeKeySchedule(0)).toThrow(RangeError);
  });

  it("runs a lane one at a time and others beside it", () => {
    const schedule = makeKeySchedule<string>(8);
    schedule.add("a", "a1");
    schedule.add("a", "a2");
    schedule.add("b", "b1");
    const first = schedule.take();
    expect(first?.work).toBe("a1");
    expect(schedule.take()?.work).toBe("b1");
    expect(schedule.take()).toBeUndefined();
    expect(schedule.waiting()).toBe(1);
    if (first !== undefined) schedule.release(first);
    expect(schedule.take()?.work).toBe("a2");
  });

  it("keeps order within lanes, the limit, and starts all work, for any interleaving", () => {
    fc.assert(
      fc.property(works, fc.integer({ min: 1, max: 7 }), fc.infiniteStream(fc.nat()), (lanes, limit, picks) => {
        const schedule = makeKeySchedule<number>(limit);
        const running: Scheduled<number>[] = [];
        const last = new Map<string, number>();
        let started = 0;
        const takeAll = () => {
          for (let next = schedule.take(); next !== undefined; next = schedule.take()) {
            started += 1;
            running.push(next);
            expect(running.length).toBeLessThanOrEqual(limit);
            const { lane, work } = next;
            if (lane === null) continue;
            expect(running.filter((one) => one.lane === lane)).toHaveLength(1);
            expect(work).toBeGreaterThan(last.get(lane) ?? -1);
            last.set(lane, work);
          }
        };
        const releaseOne = () => {
          const [over] = running.splice(picks.next().value % Math.max(1, running.length), 1);
          if (over !== undefined) schedule.release(over);
        };
        for (const [work, lane] of lanes.entries()) {
          schedule.add(lane === null ? null : `k${lane}`, work);
          if (picks.next().value % 2 === 0) takeAll();
          if (picks.next().value % 3 === 0) releaseOne();
        }
        takeAll();
        while (running.length > 0) {
          releaseOne();
          takeAll();
        }
        expect(started).toBe(lanes.length);
        expect(schedule.waiting()).toBe(0);
        expect(schedule.running()).toBe(0);
      }),
    );
  });
});
