/**
 * When an ended process is started again: at once after its first failure, then ever later, so that a process that
 * cannot run costs nothing, and one that ran well for a while starts from the beginning.
 */
export interface RestartPolicy {
  readonly baseMs: number;
  readonly maxMs: number;
  /** A process that was ready for this long counts as healthy: its earlier failures are forgotten. */
  readonly stableAfterMs: number;
  /** Failures in a row from which on status speaks of a crash loop. */
  readonly crashLoopAfter: number;
}

export const defaultRestartPolicy: RestartPolicy = {
  baseMs: 250,
  maxMs: 30_000,
  stableAfterMs: 10_000,
  crashLoopAfter: 3,
};

export interface RestartDecision {
  /** Failures in a row, this one included. */
  readonly failures: number;
  readonly delayMs: number;
  readonly crashLoop: boolean;
}

/**
 * @param failures failures in a row before this end
 * @param readyForMs how long it had been ready, 0 when it never was
 * @param random in [0, 1): half of the delay is jitter, so that processes that failed together do not return together
 */
export function decideRestart(
  failures: number,
  readyForMs: number,
  random: number,
  policy: RestartPolicy = defaultRestartPolicy,
): RestartDecision {
  const inARow = readyForMs >= policy.stableAfterMs ? 1 : failures + 1;
  const full = Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(inARow - 1, 30));
  return {
    failures: inARow,
    delayMs: Math.round(full / 2 + (full / 2) * random),
    crashLoop: inARow >= policy.crashLoopAfter,
  };
}
