/** Reads one key; undefined when there is nothing under it. */
export type Read<Value> = (key: string) => Promise<Value | undefined>;

export interface CoalesceOptions<Value> {
  /** Reads many at once. A failure is everybody's who waits for that read. */
  readonly readMany: (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>;
  /** Reads under way at once. Below it what is asked for in one turn is read together; at it keys gather for the next one. */
  readonly maxInFlight: number;
  readonly maxKeys: number;
}

/**
 * Makes one read of many: under load what asks together is read together, when idle nothing waits. A key is always read
 * after it was asked for, so nobody gets what was true before; and the same key asked for twice is read once if neither
 * was sent yet. Measured with 64 callers: 100,000 products/s
 * and more, against 7,000/s with a statement each (docs/decisions/0004).
 */
export function coalesceReads<Value>({ readMany, maxInFlight, maxKeys }: CoalesceOptions<Value>): Read<Value> {
  interface Waiter {
    readonly key: string;
    readonly resolve: (value: Value | undefined) => void;
    readonly reject: (error: unknown) => void;
  }
  let waiting: Waiter[] = [];
  let inFlight = 0;
  let scheduled = false;

  async function send(batch: readonly Waiter[]): Promise<void> {
    try {
      const values = await readMany([...new Set(batch.map(({ key }) => key))]);
      for (const { key, resolve } of batch) resolve(values.get(key));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      inFlight -= 1;
      sendWaiting();
    }
  }

  function sendWaiting(): void {
    while (waiting.length > 0 && inFlight < maxInFlight) {
      const batch = waiting.slice(0, maxKeys);
      waiting = waiting.slice(maxKeys);
      inFlight += 1;
      void send(batch);
    }
  }

  /** Not at the first key: of many that are asked for together the first ones would be reads of their own, and the rest wait for them. */
  function schedule(): void {
    if (scheduled || inFlight >= maxInFlight) return;
    scheduled = true;
    queueMicrotask(() => {
      scheduled = false;
      sendWaiting();
    });
  }

  return (key) =>
    new Promise((resolve, reject) => {
      waiting.push({ key, resolve, reject });
      schedule();
    });
}
