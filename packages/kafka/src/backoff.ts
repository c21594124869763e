export interface BackoffOptions {
  baseMs: number;
  maxMs: number;
}

/**
 * Exponential backoff with half jitter: between 50 % and 100 % of `base × 2^(n−1)`, at most `maxMs`.
 * `n` counts from 1; `random` is in [0, 1).
 */
export function backoffMs(n: number, { baseMs, maxMs }: BackoffOptions, random: number): number {
  const fullMs = Math.min(maxMs, baseMs * 2 ** Math.min(n - 1, 30));
  return Math.round(fullMs / 2 + (fullMs / 2) * random);
}
