import { describe, expect, it } from "vitest";
import { type Batches, inBatches } from "./in-batches.ts";

class Outage extends Error {}

function make(
  run: (items: readonly string[]) => Promise<readonly string[]>,
  more: Partial<Batches<string, string>> = {},
) {
  const seen: string[][] = [];
  const call = inBatches<string, string>({
    run(items) {
      seen.push([...items]);
      return run(items);
    },
    keyOf: (item) => item.slice(0, 1),
    isOutage: (error) => error instanceof Outage,
    gatherMs: 0,
    maxItems: 100,
    ...more,
  });
  return { call, seen };
}

const echo = async (items: readonly string[]) => items.map((item) => item.toUpperCase());

describe("in batches", () => {
  it("handles what comes in one turn together, and what comes meanwhile after it", async () => {
    const first = Promise.withResolvers<void>();
    const { call, seen } = make(async (items) => {
      if (items.includes("a")) await first.promise;
      return echo(items);
    });
    const early = [call("a"), call("b")];
    await new Promise((resolve) => setImmediate(resolve));
    const late = [call("c"), call("d")];
    first.resolve();
    expect(await Promise.all([...early, ...late])).toEqual(["A", "B", "C", "D"]);
    expect(seen).toEqual([
      ["a", "b"],
      ["c", "d"],
    ]);
  });

  it("waits for a batch no longer than its patience", async () => {
    const first = Promise.withResolvers<void>();
    const { call, seen } = make(
      async (items) => {
        if (items.includes("a")) await first.promise;
        return echo(items);
      },
      { patienceMs: 20 },
    );
    const slow = call("a");
    await new Promise((resolve) => setImmediate(resolve));
    expect(await call("b")).toBe("B");
    first.resolve();
    expect(await slow).toBe("A");
    expect(await call("c")).toBe("C");
    expect(seen).toEqual([["a"], ["b"], ["c"]]);
  });

  it("never has two of one key in a batch, keeps their order, and its size", async () => {
    const { call, seen } = make(echo, { maxItems: 2 });
    await Promise.all(["a1", "a2", "b1", "c1", "a3"].map(call));
    expect(seen).toEqual([["a1", "b1"], ["a2", "c1"], ["a3"]]);
  });

  it("starts at once after a quiet time, and gathers then", async () => {
    const startsMs: number[] = [];
    const { call } = make(
      async (items) => {
        startsMs.push(performance.now());
        return echo(items);
      },
      { gatherMs: 200 },
    );
    const beganMs = performance.now();
    await call("a");
    const answeredMs = performance.now();
    await Promise.all(["b", "c"].map(call));
    expect(answeredMs - beganMs).toBeLessThan(200);
    expect(startsMs).toHaveLength(2);
    expect((startsMs[1] ?? 0) - (startsMs[0] ?? 0)).toBeGreaterThan(190);
  });

  it("handles each on its own after a fault, so that only the one at fault fails", async () => {
    const { call, seen } = make(async (items) => {
      if (items.includes("b")) throw new Error("b is bad");
      return echo(items);
    });
    const settled = await Promise.allSettled(["a", "b", "c"].map(call));
    expect(settled.map((each) => (each.status === "fulfilled" ? each.value : String(each.reason)))).toEqual([
      "A",
      "Error: b is bad",
      "C",
    ]);
    expect(seen).toEqual([["a", "b", "c"], ["a"], ["b"], ["c"]]);
  });

  it("tries none on its own in an outage, and goes on afterwards", async () => {
    let away = true;
    const { call, seen } = make(async (items) => {
      if (away) throw new Outage();
      return echo(items);
    });
    const settled = await Promise.allSettled(["a", "b"].map(call));
    expect(settled.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    away = false;
    expect(await call("a")).toBe("A");
    expect(seen).toEqual([["a", "b"], ["a"]]);
  });
});
