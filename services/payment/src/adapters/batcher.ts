/**
 * Gathers what is asked for while a batch is under way into the next one. A batch begins no sooner after the last one than `spacingMs` says,
 * by the most urgent of its items, unless it is a full one: under load few, large writes; alone no wait at all.
 * `run` answers in the order of its items; when it rejects, each of them does.
 */
export function makeBatcher<Item, Result>({
  maxItems,
  concurrency,
  spacingMs,
  run,
}: {
  maxItems: number;
  concurrency: number;
  spacingMs(item: Item): number;
  run(items: readonly Item[]): Promise<readonly Result[]>;
}): (items: readonly Item[]) => Promise<Result[]> {
  type Waiting = { item: Item; resolve(result: Result): void; reject(error: unknown): void };
  let queue: Waiting[] = [];
  let running = 0;
  let planned = false;
  let startedMs = Number.NEGATIVE_INFINITY;
  let spacing: { timer: NodeJS.Timeout; untilMs: number } | undefined;

  const runBatch = async (batch: readonly Waiting[]): Promise<void> => {
    running += 1;
    try {
      const results = await run(batch.map(({ item }) => item));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const result = results[index];
        if (result === undefined) reject(new Error("a batch answered for fewer items than it was given"));
        else resolve(result);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      running -= 1;
      pump();
    }
  };

  const pump = (): void => {
    while (running < concurrency && queue.length > 0) {
      const nowMs = performance.now();
      const untilMs =
        queue.length >= maxItems ? nowMs : startedMs + Math.min(...queue.map(({ item }) => spacingMs(item)));
      if (untilMs > nowMs) {
        if (spacing !== undefined && spacing.untilMs <= untilMs) return;
        clearTimeout(spacing?.timer);
        const timer = setTimeout(() => {
          spacing = undefined;
          pump();
        }, untilMs - nowMs);
        spacing = { timer, untilMs };
        return;
      }
      startedMs = nowMs;
      const batch = queue.slice(0, maxItems);
      queue = queue.slice(maxItems);
      void runBatch(batch);
    }
  };

  return (items) => {
    const results = items.map(
      (item) => new Promise<Result>((resolve, reject) => queue.push({ item, resolve, reject })),
    );
    if (!planned) {
      planned = true;
      // What the same turn of the loop brings goes together.
      setImmediate(() => {
        planned = false;
        pump();
      });
    }
    return Promise.all(results);
  };
}
