import { describe, expect, it } from "vitest";
import { readingCountsForMs, sumReadings } from "./back-pressure.ts";

describe("sumReadings", () => {
  const nowMs = 100_000;
  const fresh = (value: number) => ({ value, atMs: nowMs - readingCountsForMs });
  const old = (value: number) => ({ value, atMs: nowMs - readingCountsForMs - 1 });

  it.each([
    ["adds what is known", [fresh(3), fresh(4)], 7],
    ["counts one part while another was never measured", [fresh(3), undefined], 3],
    ["leaves out what is too old", [fresh(3), old(1_000)], 3],
    ["knows nothing when all is old", [old(3), old(4)], undefined],
    ["knows nothing in the beginning", [undefined, undefined], undefined],
    ["knows that nothing waits", [fresh(0), old(9)], 0],
  ])("%s", (_, readings, expected) => {
    expect(sumReadings(readings, nowMs)).toBe(expected);
  });
});
