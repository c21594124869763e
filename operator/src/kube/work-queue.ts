/**
 * One item per key, however often it is added:
 *
 *   add ──▶ queued ──▶ running ──▶ (gone)
 *             ▲           │
 *             │           ├─ added meanwhile: queued again, once
 *             └── waiting ◀─ failed (backoff), or asked to come again
 */
import type { Logger } from "@pricing-engine/chassis/log";
import { ExponentialBackoff, type IBackoff } from "cockatiel";
import { KubeError } from "./kube-error.ts";
import { makeWorkQueueMetrics } from "./work-queue-metrics.ts";

export interface WorkQueueOptions<Key> {
  /** Of the metrics. */
  readonly name: string;
  /** What it throws is logged, and it runs again later. */
  run(key: Key, signal: AbortSignal): Promise<{ readonly requeueAfterMs?: number } | undefined> | Promise<void>;
  /** Of different keys; one key never runs twice at a time. */
  readonly concurrency?: number;
  readonly backoff?: { readonly initialMs: number; readonly maxMs: number };
  readonly logger: Pick<Logger, "warn">;
}

export interface WorkQueue<Key> {
  /** Runs it soon, also when it was waiting for its backoff. */
  add(key: Key): void;
  /** Runs it after so long at the latest. */
  addAfter(key: Key, delayMs: number): void;
  /** Nothing is known of it any more. What runs, ends. */
  forget(key: Key): void;
  /** Keys that are queued, running or waiting. */
  size(): number;
  /** Aborts what runs and resolves when it has ended. */
  close(): Promise<void>;
}

interface Item {
  state: "queued" | "running" | "waiting";
  queuedAt: number;
  /** Added while it ran. */
  dirty: boolean;
  dueAt: number;
  timer: NodeJS.Timeout | undefined;
  backoff: IBackoff<unknown> | undefined;
}

export function makeWorkQueue<Key extends string>(options: WorkQueueOptions<Key>): WorkQueue<Key> {
  const { concurrency = 1, logger } = options;
  const { initialMs, maxMs } = options.backoff ?? { initialMs: 200, maxMs: 60_000 };
  const closing = new AbortController();
  const items = new Map<Key, Item>();
  /** In the order in which they came. */
  const queued = new Set<Key>();
  const running = new Map<Key, Promise<void>>();
  const metrics = makeWorkQueueMetrics(options.name, concurrency, () => queued.size);

  function itemOf(key: Key): Item {
    const known = items.get(key);
    if (known !== undefined) return known;
    const item: Item = {
      state: "waiting",
      queuedAt: 0,
      dirty: false,
      dueAt: Number.POSITIVE_INFINITY,
      timer: undefined,
      backoff: undefined,
    };
    items.set(key, item);
    return item;
  }

  function enqueue(key: Key, item: Item): void {
    clearTimeout(item.timer);
    Object.assign(item, { timer: undefined, dueAt: Number.POSITIVE_INFINITY, state: "queued" });
    item.queuedAt = performance.now();
    queued.add(key);
    metrics.added();
    startSome();
  }

  function wait(key: Key, item: Item, delayMs: number): void {
    const dueAt = performance.now() + delayMs;
    if (item.dueAt <= dueAt) return;
    clearTimeout(item.timer);
    item.dueAt = dueAt;
    item.timer = setTimeout(() => {
      item.dueAt = Number.POSITIVE_INFINITY;
      add(key);
    }, delayMs);
  }

  function add(key: Key): void {
    if (closing.signal.aborted) return;
    const item = itemOf(key);
    if (item.state === "waiting") enqueue(key, item);
    else if (item.state === "running") item.dirty = true;
  }

  function startSome(): void {
    for (const key of queued) {
      if (running.size >= concurrency || closing.signal.aborted) return;
      const item = items.get(key);
      // Forgotten in the middle of its run, and added again.
      if (item === undefined || running.has(key)) continue;
      queued.delete(key);
      item.state = "running";
      const run = runItem(key, item).finally(() => {
        running.delete(key);
        startSome();
      });
      running.set(key, run);
    }
  }

  async function runItem(key: Key, item: Item): Promise<void> {
    const ended = metrics.started(item.queuedAt);
    let requeueAfterMs: number | undefined;
    try {
      // Not in the caller's own turn: it may hold half-made state.
      await Promise.resolve();
      item.dirty = false;
      requeueAfterMs = (await options.run(key, closing.signal))?.requeueAfterMs;
      item.backoff = undefined;
      ended(requeueAfterMs === undefined ? "success" : "requeue_after");
    } catch (error) {
      ended("error");
      if (closing.signal.aborted) return;
      item.backoff =
        item.backoff?.next(undefined) ?? new ExponentialBackoff({ initialDelay: initialMs, maxDelay: maxMs }).next();
      const retryAfterMs = error instanceof KubeError ? error.retryAfterMs : undefined;
      requeueAfterMs = Math.max(item.backoff.duration, retryAfterMs ?? 0);
      logger.warn({ err: error, key, queue: options.name, retryInMs: Math.round(requeueAfterMs) }, "a run failed");
      metrics.retried();
    }
    settle(key, item, requeueAfterMs);
  }

  function settle(key: Key, item: Item, requeueAfterMs: number | undefined): void {
    // Forgotten while it ran; a namesake that came since is another item.
    if (items.get(key) !== item || closing.signal.aborted) return;
    item.state = "waiting";
    if (requeueAfterMs !== undefined) wait(key, item, requeueAfterMs);
    if (item.dirty) {
      item.dirty = false;
      enqueue(key, item);
    } else if (item.timer === undefined) items.delete(key);
  }

  return {
    add,
    addAfter(key, delayMs) {
      if (closing.signal.aborted) return;
      const item = itemOf(key);
      if (item.state !== "queued") wait(key, item, delayMs);
    },
    forget(key) {
      clearTimeout(items.get(key)?.timer);
      items.delete(key);
      queued.delete(key);
    },
    size: () => items.size,
    async close() {
      closing.abort();
      for (const { timer } of items.values()) clearTimeout(timer);
      queued.clear();
      await Promise.all(running.values());
      items.clear();
      metrics.close();
    },
  };
}
