/**
 * Groups as they really were: looks of the local runtime on Kafka, recorded with test/support/curves.ts (the burst by
 * test/e2e/scaling.timed.ts). Replayed open-loop: what is decided here does not change what comes next, so this shows what a look leads
 * to, and that the number does not swing; the closed loop is scale.test.ts.
 */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { countRelapses } from "./relapses.ts";
import { decide, type GroupLook, initialScale, type ScaleDecision, type ScaleSettings } from "./scale.ts";

interface Curve {
  readonly limits: ScaleSettings;
  readonly start: number;
  readonly keys: readonly string[];
  readonly retries: readonly boolean[];
  readonly looks: readonly {
    readonly atMs: number;
    readonly ready: number;
    readonly frozenBy?: "hold" | "paused";
    readonly beside?: number;
    readonly group?: GroupLook["group"];
    readonly end?: readonly number[];
    readonly committed?: readonly number[];
    readonly member?: readonly number[];
  }[];
}

const folder = new URL("./fixtures/", import.meta.url);
const names = readdirSync(folder).flatMap((file) => (file.endsWith(".json") ? [file.slice(0, -".json".length)] : []));

function replay({ keys, limits, looks, retries, start }: Curve): (ScaleDecision & { atMs: number })[] {
  let state = initialScale(start, 0);
  return looks.map(({ group, end, committed, member, ...look }) => {
    const measured = group && {
      group,
      partitions: keys.map((key, nth) => ({
        key,
        end: end?.[nth] ?? 0,
        committed: committed?.[nth] ?? 0,
        member: (member?.[nth] ?? -1) < 0 ? undefined : `m${member?.[nth]}`,
        isRetry: retries[nth] ?? false,
      })),
    };
    const next = decide(state, { ...look, measured }, limits);
    state = next.state;
    return { ...next.decision, atMs: look.atMs };
  });
}

describe.each(names)("%s", (name) => {
  const curve = JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8")) as Curve;
  const decisions = replay(curve);
  const changes = decisions.filter(({ before, desired }) => before !== desired);

  test("decisions", () => {
    const told = changes.map(
      ({ atMs, before, desired, reason, message }) =>
        `${(atMs / 1000).toFixed(1)}s ${before} → ${desired} ${reason}: ${message}`,
    );
    expect(told).toMatchSnapshot();
  });

  test("within the limits, down by one, a minute of calm before each step down", () => {
    let changedAtMs = 0;
    for (const { atMs, before, desired } of changes) {
      expect(desired).toBeGreaterThanOrEqual(curve.limits.min);
      expect(desired).toBeLessThanOrEqual(Math.min(curve.limits.max, curve.limits.partitions));
      if (desired < before) {
        expect(before - desired).toBe(1);
        expect(atMs - changedAtMs).toBeGreaterThan(55_000);
      }
      changedAtMs = atMs;
    }
  });

  test("no number proves too few twice within ten minutes", () => {
    expect(countRelapses(decisions)).toBe(0);
  });
});
