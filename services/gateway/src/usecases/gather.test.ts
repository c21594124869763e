import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { makeGather } from "./gather.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setImmediate", "setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

type Call = { items: readonly number[] } & PromiseWithResolvers<readonly string[]>;

function makeFixture(options: { maxItems?: number; maxInFlight?: number } = {}) {
  const calls: Call[] = [];
  const ask = makeGather<number, string>({
    maxItems: 3,
    maxInFlight: 1,
    patienceMs: 100,
    ...options,
    send(items) {
      const settling = Promise.withResolvers<readonly string[]>();
      calls.push({ items, ...settling });
      return settling.promise;
    },
  });
  return { calls, ask, sent: () => calls.map(({ items }) => items) };
}

it("sends what is asked in one turn together, and gives each its own", async () => {
  const { ask, calls, sent } = makeFixture();
  const answers = Promise.all([ask(1), ask(2)]);
  await vi.advanceTimersByTimeAsync(0);
  expect(sent()).toEqual([[1, 2]]);
  calls[0]?.resolve(["one", "two"]);
  expect(await answers).toEqual(["one", "two"]);
});

it("gathers while a batch is in the air, and never more than fit", async () => {
  const { ask, calls, sent } = makeFixture();
  void ask(1);
  await vi.advanceTimersByTimeAsync(0);
  const later = [2, 3, 4, 5].map((item) => ask(item));
  await vi.advanceTimersByTimeAsync(50);
  expect(sent()).toEqual([[1]]);
  calls[0]?.resolve(["one"]);
  await vi.advanceTimersByTimeAsync(0);
  expect(sent()).toEqual([[1], [2, 3, 4]]);
  calls[1]?.resolve(["two", "three", "four"]);
  await vi.advanceTimersByTimeAsync(0);
  calls[2]?.resolve(["five"]);
  expect(await Promise.all(later)).toEqual(["two", "three", "four", "five"]);
});

it("is held back by a slow batch for its patience and no longer", async () => {
  const { ask, calls, sent } = makeFixture();
  void ask(1);
  await vi.advanceTimersByTimeAsync(0);
  const second = ask(2);
  await vi.advanceTimersByTimeAsync(99);
  expect(sent()).toEqual([[1]]);
  await vi.advanceTimersByTimeAsync(2);
  expect(sent()).toEqual([[1], [2]]);
  calls[1]?.resolve(["two"]);
  expect(await second).toBe("two");
  // The late one gives back no place that it has given back already.
  calls[0]?.resolve(["one"]);
  await vi.advanceTimersByTimeAsync(0);
  void ask(3);
  await vi.advanceTimersByTimeAsync(0);
  void ask(4);
  await vi.advanceTimersByTimeAsync(50);
  expect(sent()).toEqual([[1], [2], [3]]);
});

it("fails those of a batch that failed, and goes on", async () => {
  const { ask, calls } = makeFixture();
  const failing = Promise.allSettled([ask(1), ask(2)]);
  await vi.advanceTimersByTimeAsync(0);
  calls[0]?.reject(new Error("away"));
  expect((await failing).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  const short = ask(3);
  await vi.advanceTimersByTimeAsync(0);
  calls[1]?.resolve([]);
  await expect(short).rejects.toThrow("0 results");
  const next = ask(4);
  await vi.advanceTimersByTimeAsync(0);
  calls[2]?.resolve(["four"]);
  expect(await next).toBe("four");
});
