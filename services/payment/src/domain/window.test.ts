import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { granularityMs, splitWindow } from "./window.ts";

describe("splitWindow", () => {
  it("covers each millisecond once, with whole buckets and short edges", () => {
    const time = fc.integer({ min: 0, max: 3 * 24 * 3_600_000 });
    fc.assert(
      fc.property(time, time, (a, b) => {
        const [from, last] = a <= b ? [a, b] : [b, a];
        const { buckets, edges } = splitWindow(from, last);
        const spans = [...buckets, ...edges].sort((x, y) => x.fromMs - y.fromMs);
        let at = from;
        for (const span of spans) {
          expect(span.fromMs).toBe(at);
          expect(span.toMs).toBeGreaterThan(span.fromMs);
          at = span.toMs;
        }
        expect(at).toBe(last + 1);
        for (const bucket of buckets) {
          expect(bucket.fromMs % granularityMs[bucket.granularity]).toBe(0);
          expect(bucket.toMs % granularityMs[bucket.granularity]).toBe(0);
        }
        expect(edges.length).toBeLessThanOrEqual(2);
        for (const edge of edges) expect(edge.toMs - edge.fromMs).toBeLessThan(2000);
      }),
    );
  });

  it.each([
    ["ends before it begins", 10, 9, { buckets: [], edges: [] }],
    ["one millisecond", 1000, 1000, { buckets: [], edges: [{ fromMs: 1000, toMs: 1001 }] }],
    [
      "a second to its last millisecond",
      1000,
      1999,
      { buckets: [{ granularity: "second", fromMs: 1000, toMs: 2000 }], edges: [] },
    ],
  ])("%s", (_name, from, last, parts) => {
    expect(splitWindow(from, last)).toEqual(parts);
  });
});
