/** Rollups are kept per second, minute, hour and day, so that any window is a few whole buckets and two ragged edges. */
export const granularities = ["day", "hour", "minute", "second"] as const;
export type Granularity = (typeof granularities)[number];

export const granularityMs: Record<Granularity, number> = {
  day: 86_400_000,
  hour: 3_600_000,
  minute: 60_000,
  second: 1000,
};

/** Half-open: `fromMs` ≤ t < `toMs`. */
export type Span = { fromMs: number; toMs: number };

export type WindowParts = { buckets: (Span & { granularity: Granularity })[]; edges: Span[] };

/**
 * Splits a window of milliseconds, both ends inclusive, into spans of whole buckets, the largest first inside, and at most two
 * edges shorter than a second that only the payments themselves can answer. Together they cover each millisecond once.
 */
export function splitWindow(fromMs: number, lastMs: number): WindowParts {
  const parts: WindowParts = { buckets: [], edges: [] };
  if (lastMs < fromMs) return parts;
  split(fromMs, lastMs + 1, 0, parts);
  return parts;
}

function split(fromMs: number, toMs: number, level: number, parts: WindowParts): void {
  if (fromMs >= toMs) return;
  const granularity = granularities[level];
  if (granularity === undefined) {
    parts.edges.push({ fromMs, toMs });
    return;
  }
  const size = granularityMs[granularity];
  const first = Math.ceil(fromMs / size) * size;
  const last = Math.floor(toMs / size) * size;
  if (first >= last) {
    split(fromMs, toMs, level + 1, parts);
    return;
  }
  split(fromMs, first, level + 1, parts);
  parts.buckets.push({ granularity, fromMs: first, toMs: last });
  split(last, toMs, level + 1, parts);
}
