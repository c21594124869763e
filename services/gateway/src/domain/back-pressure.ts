/** A number that was measured somewhere else. */
export type Reading = {
  value: number;
  /** When it was asked for, on a monotonic clock: what is answered may be as old as that. */
  atMs: number;
};

/** An older reading says nothing of now. */
export const readingCountsForMs = 15_000;

/**
 * What waits in all, by the readings that still count. Each stands for itself: while Kafka cannot be asked for its lag, what piles up
 * before it still counts. Undefined when there is none: nothing is known, and nobody is refused for that.
 */
export function sumReadings(readings: readonly (Reading | undefined)[], nowMs: number): number | undefined {
  const counting = readings.filter((reading) => reading !== undefined && nowMs - reading.atMs <= readingCountsForMs);
  if (counting.length === 0) return undefined;
  return counting.reduce((sum, reading) => sum + (reading?.value ?? 0), 0);
}
