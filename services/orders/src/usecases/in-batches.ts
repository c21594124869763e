import { context, ROOT_CONTEXT } from "@pricing-engine/chassis/telemetry";

export interface Batches<Item, Result> {
  /** Handles all of them or none, each of another key; results in their order. */
  run(items: readonly Item[]): Promise<readonly Result[]>;
  /** Left out: none is in another's way. */
  keyOf?(item: Item): string;
  /** Whether nobody's fault: then none of the batch is tried on its own. */
  isOutage(error: unknown): boolean;
  /** Least time from the start of one batch to that of the next, so that they gather; the first of a quiet time starts at once. */
  gatherMs: number;
  maxItems: number;
  /** After this a batch that still runs holds up the next one no longer. Default: it always does. */
  patienceMs?: number;
}

interface Waiting<Item, Result> {
  readonly item: Item;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/**
 * Turns what handles many into what handles one: calls that come while a batch runs, or shortly after one began, are handled together.
 * One batch runs at a time, but for those that are out of patience. When one fails through somebody's fault, each of it is handled on its own, so that only that one fails.
 */
export function inBatches<Item, Result>(batches: Batches<Item, Result>): (item: Item) => Promise<Result> {
  const { run, keyOf, isOutage, gatherMs, maxItems, patienceMs } = batches;
  let waiting: Waiting<Item, Result>[] = [];
  let lastMs = Number.NEGATIVE_INFINITY;
  let busy = false;

  const take = (): Waiting<Item, Result>[] => {
    const taken: Waiting<Item, Result>[] = [];
    const left: Waiting<Item, Result>[] = [];
    const keys = new Set<string>();
    for (const each of waiting) {
      const key = keyOf?.(each.item);
      if (taken.length >= maxItems || (key !== undefined && keys.has(key))) {
        left.push(each);
        continue;
      }
      taken.push(each);
      if (key !== undefined) keys.add(key);
    }
    waiting = left;
    return taken;
  };

  const handle = async (batch: readonly Waiting<Item, Result>[]): Promise<void> => {
    try {
      const results = await run(batch.map(({ item }) => item));
      for (const [index, each] of batch.entries()) each.resolve(results[index] as Result);
    } catch (error) {
      if (batch.length === 1 || isOutage(error)) for (const each of batch) each.reject(error);
      else for (const each of batch) await handle([each]);
    }
  };

  const start = (): void => {
    const handleNext = async (): Promise<void> => {
      lastMs = performance.now();
      let isFirst = true;
      const goOn = (): void => {
        if (!isFirst) return;
        isFirst = false;
        busy = false;
        if (waiting.length > 0) start();
      };
      const timer = patienceMs === undefined ? undefined : setTimeout(goOn, patienceMs);
      await handle(take());
      clearTimeout(timer);
      goOn();
    };
    busy = true;
    const waitMs = lastMs + gatherMs - performance.now();
    // It belongs to the trace of nobody alone.
    context.with(ROOT_CONTEXT, () => {
      if (waitMs > 0) setTimeout(() => void handleNext(), waitMs);
      // Those that come in the same turn go together.
      else setImmediate(() => void handleNext());
    });
  };

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (!busy) start();
    });
}
