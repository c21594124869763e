import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { runEvery } from "./run-every.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function start(job: () => Promise<unknown>) {
  const stopping = new AbortController();
  const warnings: unknown[] = [];
  const logger = { warn: (line: unknown) => void warnings.push(line) };
  runEvery("tidy", 1_000, job, { signal: stopping.signal, logger });
  return { stop: () => stopping.abort(), warnings };
}

it("runs after each pause, and no more once it is stopped", async () => {
  let runs = 0;
  const { stop } = start(async () => {
    runs += 1;
  });
  await vi.advanceTimersByTimeAsync(899);
  expect(runs).toBe(0);
  await vi.advanceTimersByTimeAsync(201);
  expect(runs).toBe(1);
  await vi.advanceTimersByTimeAsync(1_100);
  expect(runs).toBe(2);
  stop();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(runs).toBe(2);
  expect(vi.getTimerCount()).toBe(0);
});

it("follows a pause that changes", async () => {
  let everyMs = 1_000;
  let runs = 0;
  const stopping = new AbortController();
  const job = async (): Promise<void> => {
    runs += 1;
  };
  runEvery("tidy", () => everyMs, job, { signal: stopping.signal, logger: { warn: () => undefined } });
  await vi.advanceTimersByTimeAsync(1_100);
  expect(runs).toBe(1);
  everyMs = 100;
  // The one that had begun.
  await vi.advanceTimersByTimeAsync(1_100);
  const before = runs;
  await vi.advanceTimersByTimeAsync(1_100);
  expect(runs - before).toBeGreaterThanOrEqual(10);
  stopping.abort();
});

it("never runs twice at once, however long it takes", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let runs = 0;
  start(async () => {
    runs += 1;
    await promise;
  });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(runs).toBe(1);
  resolve();
  await vi.advanceTimersByTimeAsync(1_100);
  expect(runs).toBe(2);
});

it("says that a run failed, and runs again", async () => {
  let runs = 0;
  const { warnings } = start(async () => {
    runs += 1;
    throw new Error("no");
  });
  await vi.advanceTimersByTimeAsync(2_200);
  expect(runs).toBe(2);
  expect(warnings).toMatchObject([{ job: "tidy" }, { job: "tidy" }]);
});

it("ends with the run in hand when that fails because of the stop", async () => {
  const { promise, reject } = Promise.withResolvers<void>();
  const { stop, warnings } = start(() => promise);
  await vi.advanceTimersByTimeAsync(1_100);
  stop();
  reject(new Error("closed"));
  await vi.advanceTimersByTimeAsync(10_000);
  expect([warnings, vi.getTimerCount()]).toEqual([[], 0]);
});

it("does nothing when it is stopped before it starts", () => {
  runEvery("tidy", 1_000, async () => {}, { signal: AbortSignal.abort(), logger: { warn: () => undefined } });
  expect(vi.getTimerCount()).toBe(0);
});
