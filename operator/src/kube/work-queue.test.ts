import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { KubeError } from "./kube-error.ts";
import { makeWorkQueue, type WorkQueue, type WorkQueueOptions } from "./work-queue.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(async () => {
  await queue?.close();
  vi.useRealTimers();
});

let queue: WorkQueue<string> | undefined;

/** Runs that end when they are told to. */
function aQueue(options: Partial<WorkQueueOptions<string>> = {}) {
  type Result = { requeueAfterMs: number } | undefined;
  const runs: { key: string; end: (result: Result) => void; fail: (error: Error) => void }[] = [];
  const made = makeWorkQueue<string>({
    name: "test",
    logger: { warn: () => undefined },
    backoff: { initialMs: 100, maxMs: 1000 },
    run: (key, signal) =>
      new Promise<Result>((resolve, reject) => {
        runs.push({ key, end: resolve, fail: reject });
        signal.addEventListener("abort", () => resolve(undefined));
      }),
    ...options,
  });
  queue = made;
  const settle = async (): Promise<void> => void (await vi.advanceTimersByTimeAsync(0));
  return {
    queue: made,
    settle,
    keys: () => runs.map(({ key }) => key),
    /** Ends the oldest run. */
    async end(result?: Result) {
      runs.shift()?.end(result);
      await settle();
    },
    async fail(error = new Error("no")) {
      runs.shift()?.fail(error);
      await settle();
    },
  };
}

it("runs a key once, however often it was added", async () => {
  const { queue, keys, settle, end } = aQueue();
  for (const key of ["a", "b", "a", "b", "a"]) queue.add(key);
  await settle();
  expect(keys()).toEqual(["a"]);
  await end();
  expect(keys()).toEqual(["b"]);
  await end();
  expect(keys()).toEqual([]);
  expect(queue.size()).toBe(0);
});

it("runs once more what was added while it ran, and never twice at a time", async () => {
  const { queue, keys, settle, end } = aQueue({ concurrency: 4 });
  queue.add("a");
  await settle();
  queue.add("a");
  queue.add("a");
  await settle();
  expect(keys()).toEqual(["a"]);
  await end();
  expect(keys()).toEqual(["a"]);
  await end();
  expect(keys()).toEqual([]);
});

it("runs as many at a time as it may, the oldest first", async () => {
  const { queue, keys, settle, end } = aQueue({ concurrency: 2 });
  for (const key of ["a", "b", "c", "d"]) queue.add(key);
  await settle();
  expect(keys()).toEqual(["a", "b"]);
  await end();
  expect(keys()).toEqual(["b", "c"]);
});

describe("what failed", () => {
  it("waits longer each time, up to the most, and begins anew after a success", async () => {
    const { queue, keys, settle, end, fail } = aQueue();
    const waits: number[] = [];
    queue.add("a");
    await settle();
    for (let attempt = 0; attempt < 12; attempt++) {
      await fail();
      const before = performance.now();
      await vi.advanceTimersToNextTimerAsync();
      expect(keys()).toEqual(["a"]);
      waits.push(performance.now() - before);
    }
    expect(Math.max(...waits)).toBeLessThanOrEqual(1000);
    expect(Math.max(...waits.slice(6))).toBeGreaterThan(300);
    expect(waits[0]).toBeLessThan(200);
    await end();
    queue.add("a");
    await settle();
    await fail();
    const before = performance.now();
    await vi.advanceTimersToNextTimerAsync();
    expect(performance.now() - before).toBeLessThan(200);
  });

  it("waits at least as long as the API server asks for", async () => {
    const { queue, keys, settle, fail } = aQueue();
    queue.add("a");
    await settle();
    await fail(new KubeError("busy", { status: 429, reason: "TooManyRequests", retryAfterMs: 5000 }));
    await vi.advanceTimersByTimeAsync(4999);
    expect(keys()).toEqual([]);
    await vi.advanceTimersByTimeAsync(2);
    expect(keys()).toEqual(["a"]);
  });

  it("runs at once when it is added: something changed", async () => {
    const { queue, keys, settle, fail, end } = aQueue();
    queue.add("a");
    await settle();
    await fail();
    queue.add("a");
    await settle();
    expect(keys()).toEqual(["a"]);
    await end();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(keys()).toEqual([]);
    expect(queue.size()).toBe(0);
  });

  it("holds up no other", async () => {
    const { queue, keys, settle, fail } = aQueue();
    queue.add("a");
    queue.add("b");
    await settle();
    await fail();
    expect(keys()).toEqual(["b"]);
  });
});

describe("what is to come again", () => {
  it("comes after the time that the run asked for", async () => {
    const { queue, keys, settle, end } = aQueue();
    queue.add("a");
    await settle();
    await end({ requeueAfterMs: 500 });
    expect(queue.size()).toBe(1);
    await vi.advanceTimersByTimeAsync(499);
    expect(keys()).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(keys()).toEqual(["a"]);
  });

  it("comes at the earliest of several times, once", async () => {
    const { queue, keys, end } = aQueue();
    queue.addAfter("a", 500);
    queue.addAfter("a", 100);
    queue.addAfter("a", 900);
    await vi.advanceTimersByTimeAsync(100);
    expect(keys()).toEqual(["a"]);
    await end();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(keys()).toEqual([]);
    expect(queue.size()).toBe(0);
  });
});

describe("what is forgotten", () => {
  it("does not run, nor come again", async () => {
    const { queue, keys, settle, fail } = aQueue();
    queue.add("a");
    queue.add("b");
    queue.addAfter("c", 100);
    await settle();
    queue.forget("b");
    queue.forget("c");
    queue.add("a");
    queue.forget("a");
    await fail();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(keys()).toEqual([]);
    expect(queue.size()).toBe(0);
  });

  it("runs when it is added again, not before its earlier run has ended", async () => {
    const { queue, keys, settle, end } = aQueue({ concurrency: 2 });
    queue.add("a");
    await settle();
    queue.forget("a");
    queue.add("a");
    await settle();
    expect(keys()).toEqual(["a"]);
    await end();
    expect(keys()).toEqual(["a"]);
    await end();
    expect(queue.size()).toBe(0);
  });
});

it("aborts what runs when it is closed, waits for it, and takes nothing more", async () => {
  let aborted = false;
  const started = Promise.withResolvers<void>();
  const { queue } = aQueue({
    run: (_key, signal) =>
      new Promise<void>((resolve) => {
        started.resolve();
        signal.addEventListener("abort", () => {
          aborted = true;
          resolve();
        });
      }),
  });
  queue.add("a");
  queue.add("b");
  await started.promise;
  await queue.close();
  queue.add("c");
  expect(aborted).toBe(true);
  expect(queue.size()).toBe(0);
});
