import { context, ROOT_CONTEXT } from "@pricing-engine/chassis/telemetry";

export interface Batches<Item, Result> {
  /** Handles all of them or none, each of another key; results in their order. */
  run(items: readonly Item[]): Promise<readonly Result[]>;
  keyOf(item: Item): string;
  /** Whether nobody's fault: then none of the batch is tried on its own. */
  isOutage(error: unknown): boolean;
  /** Least time from the start of one batch to that of the next, so that they gather; the first of a quiet time starts at once. */
  gatherMs: number;
  maxItems: number;
}

interface Waiting<Item, Result> {
  readonly item: Item;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/**
 * Turns what handles many into what handles one: calls that come while a batch runs, or shortly after one began, are handled together.
 * One batch runs at a time. When one fails through somebody's fault, each of it is handled on its own, so that only that one fails.
 */
export function inBatches<Item, Result>(batches: Batches<Item, Result>): (item: Item) => Promise<Result> {
  const { run, keyOf, isOutage, gatherMs, maxItems } = batches;
  let waiting: Waiting<Item, Result>[] = [];
  let lastMs = Number.NEGATIVE_INFINITY;
  let busy = false;

  const take = (): Waiting<Item, Result>[] => {
    const taken = new Map<string, Waiting<Item, Result>>();
    const left: Waiting<Item, Result>[] = [];
    for (const each of waiting) {
      const key = keyOf(each.item);
      if (taken.size < maxItems && !taken.has(key)) taken.set(key, each);
      else left.push(each);
    }
    waiting = left;
    return [...taken.values()];
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
      await handle(take());
      busy = false;
      if (waiting.length > 0) start();
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
