import { setTimeout as delay } from "node:timers/promises";

export interface EventuallyOptions {
  /** Default 30 s: how long something takes on a busy machine is no part of what a test shows. */
  readonly timeoutMs?: number;
  /** Default 25 ms. */
  readonly intervalMs?: number;
}

/**
 * Calls `fn` until it neither throws nor returns `false`, and gives back what it returned.
 * Throws the last error (or says what never held) once the time is over.
 */
export async function eventually<T>(fn: () => T | Promise<T>, options: EventuallyOptions = {}): Promise<T> {
  const { timeoutMs = 30_000, intervalMs = 25 } = options;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    let failure: unknown;
    try {
      const value = await fn();
      if (value !== false) return value;
      failure = new Error(`condition still false: ${fn.toString().slice(0, 200)}`);
    } catch (error) {
      failure = error;
    }
    if (performance.now() >= deadline) {
      if (failure instanceof Error) failure.message = `not within ${timeoutMs} ms: ${failure.message}`;
      throw failure;
    }
    await delay(intervalMs);
  }
}
