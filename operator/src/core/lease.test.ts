import { describe, expect, it } from "vitest";
import {
  decideLease,
  isLeader,
  type LeaseMemory,
  type LeaseView,
  ledSince,
  nextLookMs,
  noMemory,
  observeLease,
  releasedSpec,
} from "./lease.ts";

const durations = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2000 };
const self = { identity: "me", durations };
const date = new Date("2026-11-26T07:30:00.123Z");
const minutesSince2020 = Math.floor((date.getTime() - Date.UTC(2020, 0)) / 60_000);
const view = (holderIdentity: string, leaseTransitions = 7, version = "1"): LeaseView => ({
  uid: "u",
  version,
  spec: { holderIdentity, leaseTransitions, leaseDurationSeconds: 15, renewTime: "2000-01-01T00:00:00.000000Z" },
});
const look = (memory: LeaseMemory, seen: LeaseView, nowMs: number) => {
  const observed = observeLease(memory, seen, "me", nowMs);
  return { observed, decision: decideLease(observed, seen, self, { nowMs, date }) };
};

describe("a follower", () => {
  it.each([
    ["there is none", undefined, 0, { act: "write", over: undefined, epoch: minutesSince2020 }],
    ["it was released", view(""), 0, { act: "write", over: { uid: "u", version: "1" }, epoch: 8 }],
    ["another one holds it, seen for the first time", view("other"), 0, { act: "wait", atMs: 15_000 }],
    [
      "our name is in it from an earlier life",
      view("me"),
      0,
      { act: "write", over: { uid: "u", version: "1" }, epoch: 8 },
    ],
  ])("%s", (_name, seen, nowMs, decision) => {
    expect(look(noMemory, seen, nowMs).decision).toMatchObject(decision);
  });

  it("waits from when it saw the last change, by its own clock, whatever the times in the lease say", () => {
    const first = look(noMemory, view("other"), 1000).observed;
    expect(look(first, view("other"), 15_999).decision).toEqual({ act: "wait", atMs: 16_000 });
    expect(look(first, view("other"), 16_000).decision).toMatchObject({
      act: "write",
      over: { uid: "u", version: "1" },
      epoch: 8,
    });
    // Renewed in between: it waits anew.
    const second = look(first, view("other", 7, "2"), 15_000).observed;
    expect(look(second, view("other", 7, "2"), 16_000).decision).toEqual({ act: "wait", atMs: 30_000 });
  });

  it("waits as long as the holder claimed, not as long as it would itself", () => {
    const seen: LeaseView = { uid: "u", version: "1", spec: { holderIdentity: "other", leaseDurationSeconds: 60 } };
    expect(look(noMemory, seen, 0).decision).toEqual({ act: "wait", atMs: 60_000 });
  });

  it("takes an epoch above any that it saw, also when the lease was deleted or put back", () => {
    const far = look(noMemory, view("other", 2_000_000_000), 0).observed;
    expect(look(far, undefined, 1000).decision).toMatchObject({ epoch: 2_000_000_001 });
    expect(look(far, view("", 3, "2"), 1000).decision).toMatchObject({ epoch: 2_000_000_001 });
  });
});

describe("a leader", () => {
  const leads = ledSince("5", 8, 1000);
  const own: LeaseView = {
    uid: "u",
    version: "5",
    spec: { holderIdentity: "me", leaseTransitions: 8, acquireTime: "then" },
  };

  it("leads until its deadline, which ends before the lease does", () => {
    expect(isLeader(leads, durations, 10_999)).toBe(true);
    expect(isLeader(leads, durations, 11_000)).toBe(false);
    expect(isLeader(noMemory, durations, 0)).toBe(false);
  });

  it("renews within its term, with the time at which it began", () => {
    expect(look(leads, own, 3000).decision).toEqual({
      act: "write",
      over: { uid: "u", version: "5" },
      epoch: 8,
      spec: {
        holderIdentity: "me",
        leaseTransitions: 8,
        acquireTime: "then",
        leaseDurationSeconds: 15,
        renewTime: "2026-11-26T07:30:00.123000Z",
      },
    });
  });

  it("begins a new term when the old one ran out, though nobody took it", () => {
    expect(look(leads, own, 11_000).decision).toMatchObject({ act: "write", epoch: 9, spec: { leaseTransitions: 9 } });
  });

  it("ends at once when another one's name is in it, or it is gone", () => {
    const taken = look(leads, view("other", 9, "6"), 2000);
    expect(isLeader(taken.observed, durations, 2000)).toBe(false);
    expect(taken.decision).toEqual({ act: "wait", atMs: 17_000 });
    expect(isLeader(look(leads, undefined, 2000).observed, durations, 2000)).toBe(false);
  });

  it("leaves behind what the next one takes at once, with a higher epoch", () => {
    const left: LeaseView = { uid: "u", version: "6", spec: releasedSpec(8, date) };
    expect(look(look(noMemory, own, 0).observed, left, 100).decision).toMatchObject({ act: "write", epoch: 9 });
  });
});

it.each([
  ["a leader, or nothing known", undefined, 2000],
  ["long before the end", { act: "wait", atMs: 9000 } as const, 2000],
  ["shortly before the end", { act: "wait", atMs: 1500 } as const, 500],
  ["after the end", { act: "wait", atMs: 500 } as const, 0],
])("looks again: %s", (_name, decision, waitMs) => {
  expect(nextLookMs(decision, durations, 1000)).toBe(waitMs);
});
