import { setTimeout as delay } from "node:timers/promises";
import { InfraError } from "./exec.ts";
import type { Log } from "./types.ts";

const patienceMs = 3_000;

export interface Wait {
  /** What is waited for: "Kafka to answer on port 19092". */
  readonly what: string;
  readonly timeoutMs: number;
  readonly log: Log;
  /** Ends the wait, with an `InfraError`. */
  readonly signal?: AbortSignal | undefined;
  /** Why it can no longer come true, if so. */
  readonly findFailure?: () => Promise<string | undefined>;
}

/** Polls until the condition holds. Says every few seconds what it waits for and since when. */
export async function waitUntil(condition: () => Promise<boolean>, wait: Wait): Promise<void> {
  const startedAt = performance.now();
  const elapsedMs = (): number => performance.now() - startedAt;
  let nextReportMs = patienceMs;
  while (!(await condition())) {
    if (wait.signal?.aborted === true) throw new InfraError(`no longer waiting for ${wait.what}`);
    const failure = await wait.findFailure?.();
    if (failure !== undefined) throw new InfraError(failure);
    if (elapsedMs() > wait.timeoutMs)
      throw new InfraError(`gave up waiting for ${wait.what} after ${seconds(elapsedMs())}`);
    if (elapsedMs() > nextReportMs) {
      wait.log(`waiting for ${wait.what} (${seconds(elapsedMs())} of at most ${seconds(wait.timeoutMs)})`);
      nextReportMs += patienceMs;
    }
    await delay(elapsedMs() < 1_000 ? 20 : 60);
  }
}

/** Runs one long step and says now and then that it is still at it. */
export async function withProgress<T>(what: string, log: Log, step: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const report = (): void => log(`${what}: at it for ${seconds(performance.now() - startedAt)}`);
  const timer = setInterval(report, 5_000);
  try {
    return await step();
  } finally {
    clearInterval(timer);
  }
}

export function seconds(durationMs: number): string {
  return `${(durationMs / 1_000).toFixed(1)} s`;
}
