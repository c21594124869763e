export type GatherOptions<Item, Result> = {
  /** Settles a batch: one result per item, in order. A failure is everybody's who is in it. */
  send: (items: readonly Item[]) => Promise<readonly Result[]>;
  maxItems: number;
  /** Batches in the air above which items gather for the next one. */
  maxInFlight: number;
  /** Milliseconds after which a batch no longer holds others back: a slow one delays what comes later by no more. */
  patienceMs: number;
};

/**
 * Makes one call of many: what is asked for in one turn of the event loop goes together, and so does what comes while
 * earlier batches are in the air. When idle nothing waits beyond that turn.
 */
export function makeGather<Item, Result>(options: GatherOptions<Item, Result>): (item: Item) => Promise<Result> {
  const { send, maxItems, maxInFlight, patienceMs } = options;
  type Waiter = { item: Item; resolve: (result: Result) => void; reject: (error: unknown) => void };
  let waiting: Waiter[] = [];
  let inFlight = 0;
  let scheduled = false;

  function schedule(): void {
    if (scheduled || waiting.length === 0 || inFlight >= maxInFlight) return;
    scheduled = true;
    setImmediate(flush);
  }

  function flush(): void {
    scheduled = false;
    while (waiting.length > 0 && inFlight < maxInFlight) {
      const batch = waiting.slice(0, maxItems);
      waiting = waiting.slice(maxItems);
      void fly(batch);
    }
  }

  async function fly(batch: readonly Waiter[]): Promise<void> {
    inFlight += 1;
    let counted = true;
    const release = (): void => {
      if (!counted) return;
      counted = false;
      inFlight -= 1;
      schedule();
    };
    const timer = setTimeout(release, patienceMs);
    try {
      const results = await send(batch.map(({ item }) => item));
      if (results.length !== batch.length) throw new Error(`${batch.length} items, ${results.length} results`);
      for (const [index, result] of results.entries()) batch[index]?.resolve(result);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      clearTimeout(timer);
      release();
    }
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      schedule();
    });
}
