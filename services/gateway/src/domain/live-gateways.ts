export type Headcount = { count: number; atMs: number };

/** A gateway that has not been heard of for so long is gone. */
export const goneAfterMs = 15_000;

/** Those that still say something after the newest of them; oldest first, and at least that one. */
export function noteHeadcount(before: readonly Headcount[], next: Headcount): readonly Headcount[] {
  return [...before.filter(({ atMs }) => next.atMs - atMs < goneAfterMs), next];
}

/**
 * How many gateways are alive: the most that were counted lately. After Redis lost its data each is counted only when it has been heard
 * of again, and a count taken in between would give everybody too large a part. 1 before the first count.
 */
export function liveGateways(counts: readonly Headcount[]): number {
  return counts.reduce((most, { count }) => Math.max(most, count), 1);
}
