import type { WallTime } from "@pricing-engine/contracts";

/** Turns a wall time into the instant that it names, milliseconds since 1970. */
export type ToInstant = (time: WallTime) => number;

/**
 * For times that name no zone: those of `timezone` (IANA). A time that a clock change skips counts as if the clock had not
 * been changed yet; of one that comes twice the first is meant.
 */
export function makeToInstant(timezone: string): ToInstant {
  const offsetAt = timezone === "UTC" ? () => 0 : makeOffsetAt(timezone);
  return ({ asUtcMs, offsetMinutes }) => {
    if (offsetMinutes !== undefined) return asUtcMs - offsetMinutes * 60_000;
    const dayMs = 86_400_000;
    const candidates = [offsetAt(asUtcMs - dayMs), offsetAt(asUtcMs + dayMs)].map((offset) => asUtcMs - offset);
    const matching = candidates.filter((instant) => instant + offsetAt(instant) === asUtcMs);
    return matching.length > 0 ? Math.min(...matching) : (candidates[0] ?? asUtcMs);
  };
}

const hourMs = 3_600_000;
const maxKnownHours = 10_000;

/** Milliseconds east of UTC at an instant. No zone changes within a quarter of an hour, and Intl is slow. */
function makeOffsetAt(timezone: string): (instantMs: number) => number {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: timezone,
    hourCycle: "h23",
    era: "short",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  const known = new Map<number, number>();
  return (instantMs) => {
    const slot = Math.floor((instantMs * 4) / hourMs);
    const remembered = known.get(slot);
    if (remembered !== undefined) return remembered;
    const wholeMs = Math.floor((slot * hourMs) / 4);
    const parts = Object.fromEntries(format.formatToParts(wholeMs).map(({ type, value }) => [type, value]));
    const part = (name: string) => Number(parts[name]);
    const shown = new Date(0);
    shown.setUTCFullYear(parts.era === "BC" ? 1 - part("year") : part("year"), part("month") - 1, part("day"));
    shown.setUTCHours(part("hour"), part("minute"), part("second"), 0);
    const offset = shown.getTime() - wholeMs;
    if (known.size >= maxKnownHours) known.clear();
    known.set(slot, offset);
    return offset;
  };
}
