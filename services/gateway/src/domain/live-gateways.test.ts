import { describe, expect, it } from "vitest";
import { goneAfterMs, type Headcount, liveGateways, noteHeadcount } from "./live-gateways.ts";

const after = (...counts: readonly [atMs: number, count: number][]): number =>
  liveGateways(
    counts.reduce<readonly Headcount[]>((before, [atMs, count]) => noteHeadcount(before, { atMs, count }), []),
  );

describe("live gateways", () => {
  it("is one before anything was counted", () => {
    expect(after()).toBe(1);
  });

  it("follows a count that rises at once", () => {
    expect(after([0, 2], [5_000, 4])).toBe(4);
  });

  it("does not follow a count that falls, until what was counted before is as old as a gateway that is gone", () => {
    expect(after([0, 4], [5_000, 1])).toBe(4);
    expect(after([0, 4], [5_000, 1], [goneAfterMs - 1, 2])).toBe(4);
    expect(after([0, 4], [5_000, 1], [goneAfterMs, 2])).toBe(2);
  });

  it("keeps the last count over an outage, however long", () => {
    expect(after([0, 4])).toBe(4);
    expect(after([0, 4], [3_600_000, 3])).toBe(3);
  });
});
