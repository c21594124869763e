import { describe, expect, test } from "vitest";
import {
  decide,
  type GroupLook,
  initialScale,
  type Look,
  lookAgainMs,
  type ScaleSettings,
  type ScaleState,
} from "./scale.ts";

const settings: ScaleSettings = { min: 1, max: 12, drainTargetMs: 10_000, partitions: 4 };
const stepMs = 2_000;

interface Partition {
  readonly end: number;
  readonly committed: number;
  readonly member?: string;
  readonly isRetry?: boolean;
}

const groupOf = (partitions: readonly Partition[], group: GroupLook["group"] = "stable"): GroupLook => ({
  group,
  partitions: partitions.map((partition, nth) => ({ key: `t/${nth}`, ...partition })),
});

/** Decides on one look after another, two seconds apart. */
function follow(
  state: ScaleState,
  looks: readonly (Partial<Look> & { measured: GroupLook })[],
  limits: ScaleSettings = settings,
) {
  let current = state;
  return looks.map((look, nth) => {
    const next = decide(current, { atMs: (nth + 1) * stepMs, ready: current.desired, ...look }, limits);
    current = next.state;
    return { ...next.decision, state: next.state };
  });
}

const seconds = (count: number) => Array.from({ length: count / 2 }, (_, nth) => (nth + 1) * 2);

describe("what is arriving is not taken for how fast a worker can be", () => {
  test("a trickle whose commits are always a little behind", () => {
    // Five a second, of which one or two are always in hand; a worker could do a thousand.
    const looks = seconds(600).map((at) => ({
      measured: groupOf([{ end: at * 5, committed: at * 5 - 1 - (at % 4 === 0 ? 1 : 0), member: "a" }]),
    }));
    const decisions = follow(initialScale(1, 0), looks);
    expect(decisions.map(({ desired }) => desired).filter((desired) => desired !== 1)).toEqual([]);
    expect(decisions.at(-1)?.state.rate).toBeUndefined();
  });

  test("slow handlers at light load: each takes three seconds, and one comes every three", () => {
    const looks = seconds(600).map((at) => {
      const come = Math.floor(at / 3);
      return { measured: groupOf([{ end: come, committed: Math.max(0, come - 1), member: "a" }]) };
    });
    expect(Math.max(...follow(initialScale(1, 0), looks).map(({ desired }) => desired))).toBe(1);
  });

  test("but a queue shows it, at once roughly and then well", () => {
    // A thousand wait, fifty a second are done.
    const looks = seconds(8).map((at) => ({
      measured: groupOf([{ end: 1_000, committed: at * 50, member: "a" }]),
    }));
    const decisions = follow(initialScale(1, 0), looks);
    expect(decisions.map(({ state }) => state.rate)).toEqual([
      undefined,
      { perSecond: 50, isRough: true },
      { perSecond: 50, isRough: false },
      { perSecond: 50, isRough: false },
    ]);
  });
});

test("one message in a second is no measure yet, in four it is", () => {
  const looks = seconds(8).map((at) => ({ measured: groupOf([{ end: 100, committed: at / 2, member: "a" }]) }));
  expect(follow(initialScale(1, 0), looks).map(({ state }) => state.rate?.perSecond)).toEqual([
    undefined,
    undefined,
    0.5,
    0.5,
  ]);
});

test("a rate that was learnt at a bad time rises with what workers do without a queue", () => {
  const slow = { ...initialScale(2, 0), rate: { perSecond: 10, isRough: false } };
  const looks = seconds(60).map((at) => ({
    measured: groupOf(["a", "b"].map((member) => ({ end: at * 50, committed: at * 50 - 5, member }))),
  }));
  const decisions = follow(slow, looks);
  expect(decisions.at(-1)?.state.rate?.perSecond).toBeGreaterThan(49);
  expect(decisions.at(-1)?.state.rate?.perSecond).toBeLessThanOrEqual(50);
});

test("a burst on a role of unknown speed is looked at again sooner, and then decided on", () => {
  const idle = {
    measured: groupOf([
      { end: 40, committed: 40, member: "a" },
      { end: 0, committed: 0, member: "a" },
    ]),
  };
  const burst = (done: number) => ({
    measured: groupOf([0, 1].map(() => ({ end: 540, committed: 40 + done / 2, member: "a" }))),
  });
  const [, , , begins] = follow(initialScale(1, 0), [idle, idle, idle, burst(50)]);
  if (begins === undefined) throw new Error("four looks, please");
  expect([begins.reason, lookAgainMs(begins)]).toEqual(["Measuring", 1_000]);
  const again = { atMs: 9_000, ready: 1, ...burst(100) };
  expect(decide(begins.state, again, settings).decision).toMatchObject({ before: 1, desired: 2, reason: "ScaledUp" });
});

test("a rate that somebody who stands still spoils", () => {
  // Two members do thirty a second each; a third one has a queue and does nothing.
  const looks = seconds(8).map((at) => ({
    measured: groupOf([
      { end: 2_000, committed: at * 30, member: "a" },
      { end: 2_000, committed: at * 30, member: "b" },
      { end: 2_000, committed: 0, member: "c" },
    ]),
  }));
  expect(follow(initialScale(3, 0), looks).at(-1)?.state.rate?.perSecond).toBeCloseTo(30);
});

test("messages that wait for their next attempt keep one awake, and call for no other", () => {
  const look = { measured: groupOf([{ end: 500, committed: 0, member: "a", isRetry: true }]) };
  const known = { ...initialScale(1, 0), rate: { perSecond: 1, isRough: false } };
  const decisions = follow(
    known,
    seconds(300).map(() => look),
    { ...settings, min: 0 },
  );
  expect(new Set(decisions.map(({ desired }) => desired))).toEqual(new Set([1]));
});

test("of unknown speed with nothing queueing, such as after a new start of the operator: down step by step, to one", () => {
  const looks = seconds(600).map((at) => ({
    measured: groupOf(
      [0, 1, 2, 3].map((nth) => ({ end: at * 2 + nth, committed: at * 2 + nth - 1, member: `m${nth}` })),
    ),
  }));
  const decisions = follow(initialScale(4, 0), looks, { ...settings, min: 0 });
  const changes = decisions.filter(({ before, desired }) => before !== desired).map(({ desired }) => desired);
  expect(changes).toEqual([3, 2, 1]);
});

test("what came at once counts once: as a backlog, not as what to expect", () => {
  const known = { ...initialScale(1, 0), rate: { perSecond: 100, isRough: false } };
  const idle = groupOf([0, 1, 2, 3].map(() => ({ end: 0, committed: 0, member: "a" })));
  const full = (done: number) => groupOf([0, 1, 2, 3].map(() => ({ end: 500, committed: done / 4, member: "a" })));
  const [, , , after] = follow({ ...known, desired: 4 }, [
    { measured: idle },
    { measured: idle },
    { measured: full(0) },
    { measured: full(200) },
  ]);
  // 1800 at a hundred a second in ten seconds.
  expect(after?.message).toMatch(/^1800 waiting, 0\.0\/s arrive/);
});

describe("asleep", () => {
  const asleep = initialScale(0, 0);
  const limits = { ...settings, min: 0 };
  const empty = groupOf([{ end: 7, committed: 7 }], "empty");

  test.each([
    ["a message", { measured: groupOf([{ end: 8, committed: 7 }], "empty") }],
    ["work beside its messages", { measured: empty, beside: 1 }],
    ["work beside its messages while payments are held", { measured: empty, beside: 1, frozenBy: "hold" as const }],
  ])("%s wakes it", (_, look) => {
    expect(follow(asleep, [look], limits)[0]).toMatchObject({ desired: 1, reason: "WokenUp" });
  });

  test("with a known rate as many wake as are needed", () => {
    const state = { ...asleep, rate: { perSecond: 10, isRough: false } };
    const look = { measured: groupOf([{ end: 350, committed: 0 }], "empty") };
    expect(follow(state, [look], limits)[0]).toMatchObject({ desired: 4, reason: "WokenUp" });
  });

  test("held payments do not wake it: they would be held all the same", () => {
    const look = { measured: groupOf([{ end: 350, committed: 0 }], "empty"), frozenBy: "hold" as const };
    expect(follow(asleep, [look], limits)[0]).toMatchObject({ desired: 0, reason: "PaymentsHeld" });
  });

  test("work beside its messages keeps it awake", () => {
    const look = { measured: groupOf([{ end: 7, committed: 7, member: "a" }]), beside: 1 };
    const looks = seconds(300).map(() => look);
    expect(follow(initialScale(1, 0), looks, limits).at(-1)?.desired).toBe(1);
    const idle = seconds(300).map(() => ({ ...look, beside: 0 }));
    expect(follow(initialScale(1, 0), idle, limits).at(-1)?.desired).toBe(0);
  });

  test("one that is woken soon after it fell asleep stays up for ten minutes", () => {
    let end = 7;
    // A message every 80 seconds: without a memory it would fall asleep after each.
    const looks = seconds(1_200).map((at) => {
      const comes = at % 80 === 0;
      if (comes) end++;
      return { measured: groupOf([{ end, committed: comes ? end - 1 : end, member: "a" }]) };
    });
    const decisions = follow(initialScale(1, 0), looks, limits);
    const wakes = decisions.filter(({ reason }) => reason === "WokenUp").length;
    expect(wakes).toBeLessThanOrEqual(2);
  });
});

test("none ready: more would not help, until one is", () => {
  const look = { measured: groupOf([{ end: 5_000, committed: 0 }]), ready: 0 };
  const state = { ...initialScale(2, 0), rate: { perSecond: 1, isRough: false } };
  expect(follow(state, [look, look])[1]).toMatchObject({ desired: 2, reason: "Starting" });
});

test("paused leaves also a number that is outside of the limits", () => {
  const look = { measured: groupOf([{ end: 0, committed: 0 }]), frozenBy: "paused" as const };
  expect(follow(initialScale(40, 0), [look])[0]).toMatchObject({ desired: 40, reason: "Paused" });
});

test("the window before a step down can be set", () => {
  const looks = seconds(40).map(() => ({ measured: groupOf([{ end: 0, committed: 0, member: "a" }]) }));
  const decisions = follow(initialScale(3, 0), looks, { ...settings, downWindowMs: 10_000 });
  expect(decisions.filter(({ reason }) => reason === "ScaledDown").map(({ desired }) => desired)).toEqual([2, 1]);
});
