/**
 * Which work may run now: one at a time and in order within a lane (a key), lanes side by side up to a limit, first
 * come first served among lanes that are free. Work without a lane waits for nobody. Pure.
 */
export interface KeySchedule<T> {
  add(lane: string | null, work: T): void;
  /** The next work that may start, now counted as running; undefined when nothing may. */
  take(): Scheduled<T> | undefined;
  /** What `take` gave is over: its lane goes on. */
  release(scheduled: Scheduled<T>): void;
  running(): number;
  waiting(): number;
}

export interface Scheduled<T> {
  lane: string | null;
  work: T;
}

export function makeKeySchedule<T>(concurrency: number): KeySchedule<T> {
  if (!Number.isInteger(concurrency) || concurrency < 1) throw new RangeError("concurrency must be an integer ≥ 1");
  const ready = makeFifo<Scheduled<T>>();
  // A lane is here from the moment its first work is ready until it has none left; the queue holds those behind.
  const lanes = new Map<string, Fifo<T>>();
  let running = 0;
  let behind = 0;

  return {
    add(lane, work) {
      if (lane === null) {
        ready.push({ lane, work });
        return;
      }
      const queue = lanes.get(lane);
      if (queue === undefined) {
        lanes.set(lane, makeFifo());
        ready.push({ lane, work });
        return;
      }
      queue.push(work);
      behind += 1;
    },
    take() {
      if (running >= concurrency) return undefined;
      const next = ready.shift();
      if (next !== undefined) running += 1;
      return next;
    },
    release({ lane }) {
      running -= 1;
      if (lane === null) return;
      const next = lanes.get(lane)?.shift();
      if (next === undefined) {
        lanes.delete(lane);
        return;
      }
      behind -= 1;
      ready.push({ lane, work: next });
    },
    running: () => running,
    waiting: () => ready.size() + behind,
  };
}

interface Fifo<T> {
  push(item: T): void;
  shift(): T | undefined;
  size(): number;
}

/** `Array.shift` copies long arrays; this one moves a head instead. */
function makeFifo<T>(): Fifo<T> {
  let items: (T | undefined)[] = [];
  let head = 0;
  return {
    push(item) {
      items.push(item);
    },
    shift() {
      const item = items[head];
      if (head === items.length) return undefined;
      items[head] = undefined;
      head += 1;
      if (head > 256 && head * 2 > items.length) {
        items = items.slice(head);
        head = 0;
      }
      return item;
    },
    size: () => items.length - head,
  };
}
