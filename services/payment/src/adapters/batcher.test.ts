import { beforeEach, describe, expect, it, vi } from "vitest";
import { makeBatcher } from "./batcher.ts";

/** A batcher whose batches end when the test says so. */
function makeProbe(options: { maxItems?: number; concurrency?: number } = {}) {
  const batches: { items: readonly number[]; end(): void; fail(error: Error): void }[] = [];
  const ask = makeBatcher<number, number>({
    maxItems: 3,
    concurrency: 1,
    // Of a negative one somebody waits for.
    spacingMs: (item) => (item < 0 ? 2 : 5),
    ...options,
    run: (items) =>
      new Promise((resolve, reject) =>
        batches.push({ items, end: () => resolve(items.map((item) => item * 10)), fail: reject }),
      ),
  });
  return { ask, batches, sizes: () => batches.map(({ items }) => items.length) };
}

describe("makeBatcher", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate", "performance"] });
    return () => vi.useRealTimers();
  });

  it("writes what one turn brings together, and a lone one at once", async () => {
    const { ask, batches, sizes } = makeProbe();
    const first = Promise.all([ask([1]), ask([2])]);
    await vi.advanceTimersByTimeAsync(0);
    expect(sizes()).toEqual([2]);
    batches[0]?.end();
    expect(await first).toEqual([[10], [20]]);
  });

  it("begins the next no sooner than its spacing says, with all that came meanwhile", async () => {
    const { ask, batches, sizes } = makeProbe();
    void ask([1]);
    await vi.advanceTimersByTimeAsync(0);
    batches[0]?.end();
    void ask([2]);
    await vi.advanceTimersByTimeAsync(2);
    void ask([3]);
    await vi.advanceTimersByTimeAsync(2);
    expect(sizes()).toEqual([1]);
    await vi.advanceTimersByTimeAsync(1);
    expect(sizes()).toEqual([1, 2]);
  });

  it("begins as soon as the most urgent of a batch may, also when that comes last", async () => {
    const { ask, batches, sizes } = makeProbe();
    void ask([1]);
    await vi.advanceTimersByTimeAsync(0);
    batches[0]?.end();
    void ask([2]);
    await vi.advanceTimersByTimeAsync(1);
    void ask([-3]);
    await vi.advanceTimersByTimeAsync(0);
    expect(sizes()).toEqual([1]);
    await vi.advanceTimersByTimeAsync(1);
    expect(sizes()).toEqual([1, 2]);
    batches[1]?.end();
    void ask([-4]);
    await vi.advanceTimersByTimeAsync(0);
    void ask([5]);
    await vi.advanceTimersByTimeAsync(2);
    expect(sizes()).toEqual([1, 2, 2]);
  });

  it("waits for no spacing when a batch is full, and never for more than are allowed at once", async () => {
    const { ask, batches, sizes } = makeProbe();
    void ask([1, 2, 3, 4, 5, 6, 7]);
    await vi.advanceTimersByTimeAsync(0);
    expect(sizes()).toEqual([3]);
    batches[0]?.end();
    await vi.advanceTimersByTimeAsync(0);
    expect(sizes()).toEqual([3, 3]);
    await vi.advanceTimersByTimeAsync(60);
    expect(sizes()).toEqual([3, 3]);
    batches[1]?.end();
    await vi.advanceTimersByTimeAsync(0);
    expect(sizes()).toEqual([3, 3, 1]);
  });

  it("fails for those alone who were in the batch that failed", async () => {
    const { ask, batches } = makeProbe();
    const first = ask([1]);
    await vi.advanceTimersByTimeAsync(0);
    const second = ask([2]);
    batches[0]?.fail(new Error("away"));
    await expect(first).rejects.toThrow("away");
    await vi.advanceTimersByTimeAsync(5);
    batches[1]?.end();
    expect(await second).toEqual([20]);
  });
});
