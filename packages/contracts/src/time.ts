import { z } from "zod";

const timeProblem = "must be an RFC 3339 time with a zone, like 2026-01-31T12:00:00Z";

/** RFC 3339 with any offset; comes out in UTC with milliseconds. Postgres has no year 0, RFC 3339 none above 9999. */
export const timeInput = z.iso
  .datetime({ offset: true, error: timeProblem })
  .refine((value) => new Date(value).getUTCFullYear() >= 1, { error: "must not be before the year 1" })
  .refine((value) => !(new Date(value).getUTCFullYear() > 9999), { error: "must not be after the year 9999 in UTC" })
  .transform((value) => new Date(value).toISOString())
  .meta({ description: "RFC 3339 time with a zone.", example: "2026-01-31T12:00:00Z" });

/** Of a query's window between two parsed times, each of which may be left out. */
export function beginsBeforeItEnds({ from, to }: { from?: string | undefined; to?: string | undefined }): boolean {
  return from === undefined || to === undefined || Date.parse(from) <= Date.parse(to);
}

/** Of a window that does not. */
export const windowProblem = { path: ["to"], error: "must not be before from" };

/** A time as we answer it: RFC 3339, UTC. */
export const time = z
  .string()
  .meta({ description: "RFC 3339 time, UTC.", format: "date-time", example: "2026-01-31T12:00:00.000Z" });
