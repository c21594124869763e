import { z } from "zod";

const unitMs = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
const maxDurationMs = 10 * 366 * 24 * unitMs.h;
const shape = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/;
const part = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g;

/**
 * Go's durations (`1h30m`, `250ms`, `1.5s`, `0`), without sign, in milliseconds (whole; parts below one are rounded).
 * Undefined when the text is not one or is longer than ten years.
 */
export function findDuration(text: string): number | undefined {
  if (text === "0") return 0;
  if (text.length > 64 || !shape.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(part)) totalMs += Number(amount) * unitMs[unit as keyof typeof unitMs];
  return totalMs <= maxDurationMs ? Math.round(totalMs) : undefined;
}

/** As findDuration, but throws a RangeError. */
export function parseDuration(text: string): number {
  const durationMs = findDuration(text);
  if (durationMs === undefined) throw new RangeError(`not a duration like 1h30m: ${JSON.stringify(text.slice(0, 64))}`);
  return durationMs;
}

/** A Go duration in text, milliseconds in code. */
export const durationSchema = z.string().transform((text, context) => {
  const durationMs = findDuration(text);
  if (durationMs !== undefined) return durationMs;
  context.addIssue({ code: "custom", message: "must be a duration like 1h30m, 60s or 250ms" });
  return z.NEVER;
});
