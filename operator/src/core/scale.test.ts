import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countRelapses } from "./relapses.ts";
import {
  decide,
  defaultDownWindowMs,
  initialScale,
  type Look,
  type ScaleDecision,
  type ScaleSettings,
} from "./scale.ts";

const settings: ScaleSettings = { min: 1, max: 12, drainTargetMs: 10_000, partitions: 12 };
const stepMs = 2000;

interface Curve {
  readonly seconds: number;
  /** Messages a second that arrive at a partition. */
  arrival(atSeconds: number, partition: number): number;
  frozen?(atSeconds: number): Partial<Look> | "rebalancing" | undefined;
}

/** A group that gets through `rate` messages a second per worker; its partitions are dealt in turn. */
function replay(curve: Curve, limits: ScaleSettings = settings, rate = 100, start = limits.min) {
  const end = new Array<number>(limits.partitions).fill(0);
  const committed = new Array<number>(limits.partitions).fill(0);
  let state = initialScale(start, 0);
  const decisions: (ScaleDecision & { atMs: number })[] = [];
  for (let atMs = 0; atMs <= curve.seconds * 1000; atMs += stepMs) {
    const workers = state.desired;
    const budget = new Array<number>(workers).fill((rate * stepMs) / 1000);
    for (let partition = 0; partition < limits.partitions; partition++) {
      end[partition] = (end[partition] ?? 0) + (curve.arrival(atMs / 1000, partition) * stepMs) / 1000;
    }
    const frozen = curve.frozen?.(atMs / 1000);
    // Each worker goes round its partitions until its time is up; a group that rebalances reads nothing.
    for (let round = 0; round < 20 && frozen !== "rebalancing" && workers > 0; round++) {
      for (let partition = 0; partition < limits.partitions; partition++) {
        const left = budget[partition % workers] ?? 0;
        const done = Math.min(left, (end[partition] ?? 0) - (committed[partition] ?? 0), (rate * stepMs) / 10_000);
        committed[partition] = (committed[partition] ?? 0) + done;
        budget[partition % workers] = left - done;
      }
    }
    const look: Look = {
      atMs,
      ready: workers,
      measured: {
        group: frozen === "rebalancing" ? "rebalancing" : workers === 0 ? "empty" : "stable",
        partitions: end.map((high, partition) => ({
          key: `t/${partition}`,
          end: Math.round(high),
          committed: Math.round(committed[partition] ?? 0),
          member: workers === 0 ? undefined : `m${partition % workers}`,
        })),
      },
      ...(typeof frozen === "object" ? frozen : {}),
    };
    const next = decide(state, look, limits);
    state = next.state;
    decisions.push({ ...next.decision, atMs });
  }
  return decisions;
}

const changes = (decisions: ReturnType<typeof replay>) =>
  decisions
    .filter(({ before, desired }) => before !== desired)
    .map(
      ({ atMs, before, desired, reason, message }) => `${atMs / 1000}s ${before} → ${desired} ${reason}: ${message}`,
    );

const curves: Record<string, Curve> = {
  "steady, of three and a half workers": { seconds: 600, arrival: () => 350 / 12 },
  "a burst of two minutes": { seconds: 900, arrival: (at) => (at >= 60 && at < 180 ? 600 / 12 : 2) },
  "a sawtooth of half a minute": { seconds: 600, arrival: (at) => ((at % 30) / 30) * (500 / 12) },
  "one hot partition": { seconds: 600, arrival: (_at, partition) => (partition === 3 ? 150 : 5) },
  "a storm of rebalances": {
    seconds: 600,
    arrival: () => 300 / 12,
    frozen: (at) => (at > 100 && at < 300 && at % 20 < 8 ? "rebalancing" : undefined),
  },
  "missing data": {
    seconds: 600,
    arrival: () => 300 / 12,
    frozen: (at) => (at > 100 && at < 300 ? { measured: undefined } : undefined),
  },
};

describe("recorded lag curves", () => {
  test.each(Object.entries(curves))("%s", (_name, curve) => {
    const decisions = replay(curve);
    expect(changes(decisions)).toMatchSnapshot();
    expect(countRelapses(decisions)).toBe(0);
  });

  test("a burst is worked off within the drain target once its workers are there", () => {
    const decisions = replay({ seconds: 300, arrival: (at) => (at >= 60 && at < 180 ? 600 / 12 : 2) });
    const late = decisions.filter(({ atMs }) => atMs > 130_000 && atMs < 180_000);
    expect(Math.max(...late.map(({ drainSeconds }) => drainSeconds ?? Number.POSITIVE_INFINITY))).toBeLessThanOrEqual(
      10,
    );
  });

  test("a hot partition does not call for workers that it cannot use", () => {
    const decisions = replay({ seconds: 600, arrival: (_at, partition) => (partition === 3 ? 400 : 0) });
    expect(
      Math.max(...decisions.filter(({ atMs }) => atMs < 60_000).map(({ desired }) => desired)),
    ).toBeLessThanOrEqual(3);
  });
});

describe("min: 0", () => {
  const limits = { ...settings, min: 0 };

  test("sleeps while nothing waits, wakes on the first message, sleeps again", () => {
    const decisions = replay({ seconds: 400, arrival: (at, p) => (at >= 100 && at < 110 && p === 0 ? 5 : 0) }, limits);
    const before = decisions.filter(({ atMs }) => atMs < 100_000).map(({ desired }) => desired);
    expect(new Set(before)).toEqual(new Set([0]));
    expect(decisions.find(({ desired }) => desired > 0)).toMatchObject({
      atMs: 100_000,
      desired: 1,
      reason: "WokenUp",
    });
    expect(decisions.at(-1)?.desired).toBe(0);
  });
});

describe("frozen", () => {
  const look = (more: Partial<Look>): Look => ({
    atMs: 1000,
    ready: 4,
    measured: { group: "stable", partitions: [{ key: "t/0", end: 1e6, committed: 0 }] },
    ...more,
  });

  test.each([
    ["MissingData", { measured: undefined }],
    ["Rebalancing", { measured: { group: "rebalancing", partitions: [] } }],
    ["PaymentsHeld", { frozenBy: "hold" }],
    ["Paused", { frozenBy: "paused" }],
  ] as const)("%s: the number stays", (reason, more) => {
    expect(decide(initialScale(4, 0), look(more), settings).decision).toMatchObject({ desired: 4, reason });
  });

  test("but a change of the limits holds at once", () => {
    const decision = decide(initialScale(4, 0), look({ frozenBy: "hold" }), { ...settings, max: 3 }).decision;
    expect(decision).toMatchObject({ desired: 3, reason: "LimitsChanged" });
  });
});

test("at the cap it is exactly the cap, and says whose it is", () => {
  const curve = { seconds: 120, arrival: () => 500 };
  expect(replay(curve).at(-1)).toMatchObject({ desired: 12, reason: "AtMaximum" });
  expect(replay(curve, { ...settings, partitions: 3 }).at(-1)).toMatchObject({ desired: 3, reason: "AtPartitions" });
});

test("under any load: within the limits, down by one and never sooner than a window after the last change", () => {
  const loads = fc.array(fc.integer({ min: 0, max: 1500 }), { minLength: 3, maxLength: 12 });
  fc.assert(
    fc.property(
      loads,
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 1, max: 20 }),
      (perMinute, min, partitions) => {
        const limits = { ...settings, min, max: 10, partitions };
        const decisions = replay(
          { seconds: perMinute.length * 60, arrival: (at) => (perMinute[Math.floor(at / 60)] ?? 0) / partitions },
          limits,
        );
        const cap = Math.max(min, Math.min(10, partitions));
        let changedAtMs = 0;
        for (const { atMs, before, desired } of decisions) {
          expect(desired).toBeGreaterThanOrEqual(min);
          expect(desired).toBeLessThanOrEqual(cap);
          if (desired < before) {
            expect(before - desired).toBe(1);
            expect(atMs - changedAtMs).toBeGreaterThanOrEqual(defaultDownWindowMs - 2 * stepMs);
          }
          if (desired !== before) changedAtMs = atMs;
        }
      },
    ),
    { numRuns: 30 },
  );
});

test("under any steady load it comes to rest: one step at most in the second half of an hour", () => {
  const arrivals = fc.array(fc.integer({ min: 0, max: 90 }), { minLength: 12, maxLength: 12 });
  fc.assert(
    fc.property(arrivals, (arrival) => {
      const decisions = replay({ seconds: 3600, arrival: (_at, partition) => arrival[partition] ?? 0 });
      expect(countRelapses(decisions)).toBe(0);
      expect(changes(decisions.filter(({ atMs }) => atMs > 1_800_000)).length).toBeLessThanOrEqual(1);
    }),
    { numRuns: 8 },
  );
});
