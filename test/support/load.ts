import { setTimeout as delay } from "node:timers/promises";

export interface Observation<T> {
  readonly startedMs: number;
  readonly endedMs: number;
  readonly result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };
}

export interface Load<T> {
  readonly observations: readonly Observation<T>[];
  /** Ends the callers after the call in hand. */
  stop(): Promise<readonly Observation<T>[]>;
}

/** So many callers, each calling again as soon as it was answered (or after `pauseMs`), until it is stopped. */
export function startLoad<T>(
  callers: number,
  call: (nth: number) => Promise<T>,
  options: { readonly pauseMs?: number } = {},
): Load<T> {
  const observations: Observation<T>[] = [];
  let stopping = false;
  let calls = 0;
  const run = async (): Promise<void> => {
    while (!stopping) {
      const startedMs = performance.now();
      const result = await call(calls++).then(
        (value) => ({ ok: true, value }) as const,
        (error: unknown) => ({ ok: false, error }) as const,
      );
      observations.push({ startedMs, endedMs: performance.now(), result });
      // What fails at once must not spin.
      await delay(result.ok ? (options.pauseMs ?? 0) : 5);
    }
  };
  const running = Promise.all(Array.from({ length: callers }, run));
  return {
    observations,
    async stop() {
      stopping = true;
      await running;
      return observations;
    },
  };
}

export interface Arrivals<T> extends Load<T> {
  /** Calls that were due and not made, because too many had not been answered. */
  skipped(): number;
}

/**
 * So many calls a second, however slowly they are answered: callers who do not know of each other. Calls that come due together are made
 * together, so a hold-up of this process delays none for good.
 */
export function startArrivals<T>(
  perSecond: number,
  call: (nth: number) => Promise<T>,
  options: { readonly maxInFlight?: number } = {},
): Arrivals<T> {
  const { maxInFlight = 512 } = options;
  const observations: Observation<T>[] = [];
  const inFlight = new Set<Promise<void>>();
  const beganMs = performance.now();
  let due = 0;
  let skipped = 0;
  const make = async (nth: number): Promise<void> => {
    const startedMs = performance.now();
    const result = await call(nth).then(
      (value) => ({ ok: true, value }) as const,
      (error: unknown) => ({ ok: false, error }) as const,
    );
    observations.push({ startedMs, endedMs: performance.now(), result });
  };
  const timer = setInterval(() => {
    for (; due < ((performance.now() - beganMs) * perSecond) / 1_000; due += 1) {
      if (inFlight.size >= maxInFlight) {
        skipped += 1;
        continue;
      }
      const made = make(due).finally(() => inFlight.delete(made));
      inFlight.add(made);
    }
  }, 5);
  return {
    observations,
    skipped: () => skipped,
    async stop() {
      clearInterval(timer);
      await Promise.all(inFlight);
      return observations;
    },
  };
}

/** The observations whose call failed; empty when all was well. */
export function failuresOf(observations: readonly Observation<unknown>[]): string[] {
  return observations.flatMap(({ result }) => (result.ok ? [] : [describeFailure(result.error)]));
}

/** What `fetch` throws says only that it failed; why is its cause. */
function describeFailure(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? String(error) : `${error}: ${cause}`;
}

export interface Backstep {
  readonly shown: number;
  readonly later: number;
  readonly lateByMs: number;
}

/**
 * Answers older than one that somebody had already seen when the question was asked. `versionOf` grows with every
 * change of what is observed.
 */
export function findBacksteps<T>(
  observations: readonly Observation<T>[],
  versionOf: (value: T) => number,
): readonly Backstep[] {
  const answered = observations.flatMap(({ startedMs, endedMs, result }) =>
    result.ok ? [{ startedMs, endedMs, version: versionOf(result.value) }] : [],
  );
  const byEnd = answered.toSorted((a, b) => a.endedMs - b.endedMs);
  const backsteps: Backstep[] = [];
  let seen = { version: Number.NEGATIVE_INFINITY, endedMs: 0 };
  let next = 0;
  for (const question of answered.toSorted((a, b) => a.startedMs - b.startedMs)) {
    for (let answer = byEnd[next]; answer !== undefined && answer.endedMs < question.startedMs; answer = byEnd[next]) {
      if (answer.version > seen.version) seen = answer;
      next += 1;
    }
    if (question.version >= seen.version) continue;
    const lateByMs = question.endedMs - seen.endedMs;
    backsteps.push({ shown: seen.version, later: question.version, lateByMs });
  }
  return backsteps;
}
