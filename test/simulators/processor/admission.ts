/**
 * A processor's own limit: so many calls at work, so many more waiting in line, the rest are told 429. A client that leaves frees
 * no place: its call goes on, as it does at the real one.
 */
export class Admission {
  readonly #maxRunning: number;
  readonly #maxQueued: number;
  readonly #queue: (() => void)[] = [];
  #running = 0;

  constructor({ maxRunning, maxQueued }: { maxRunning: number; maxQueued: number }) {
    this.#maxRunning = maxRunning;
    this.#maxQueued = maxQueued;
  }

  /** Resolves when there is a place; undefined when the line is full. The caller must release once. */
  enter(): Promise<void> | undefined {
    if (this.#running < this.#maxRunning) {
      this.#running += 1;
      return Promise.resolve();
    }
    if (this.#queue.length >= this.#maxQueued) return undefined;
    return new Promise((resolve) => this.#queue.push(resolve));
  }

  release(): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }
}
