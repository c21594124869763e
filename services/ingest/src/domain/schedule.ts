/** How a poll ended, as far as the next one is concerned. */
export type PollEnd = { readonly ok: boolean; readonly retryAfterMs?: number | undefined };

export type Breaker = "closed" | "open";

/** Failures in a row that open the breaker: from then on each attempt is a probe. */
export const failuresToOpen = 5;
const baseBackoffMs = 1_000;
const leastCapMs = 10_000;

export function breakerAfter(failures: number): Breaker {
  return failures >= failuresToOpen ? "open" : "closed";
}

/** The longest that a source waits for its next attempt, milliseconds. */
export function longestWaitMs(intervalMs: number): number {
  return Math.max(intervalMs, leastCapMs);
}

/**
 * Milliseconds until the next attempt. Never more than max(interval, 10 s), whatever failed and whatever the provider asks for.
 * @param failures in a row, this poll counted
 * @param random 0 ≤ random < 1: pollers and sources must not march in step
 */
export function nextAttemptMs(
  { ok, retryAfterMs }: PollEnd,
  { failures, intervalMs, random }: { failures: number; intervalMs: number; random: number },
): number {
  if (ok) return Math.round(intervalMs * (0.9 + 0.1 * random));
  const capMs = longestWaitMs(intervalMs);
  const backoffMs = breakerAfter(failures) === "open" ? capMs : baseBackoffMs * 2 ** Math.min(failures - 1, 20);
  const waitMs = Math.max(Math.min(backoffMs, capMs) * (0.5 + 0.5 * random), retryAfterMs ?? 0);
  return Math.round(Math.min(waitMs, capMs));
}
