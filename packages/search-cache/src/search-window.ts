import { findWallTime, isNamableInstant, maxSearchLimit } from "@pricing-engine/contracts";

/** Where a page ends: the last event that was shown. */
export type Position = { readonly startsAtMs: number; readonly id: string };

export type SearchWindow = {
  readonly startsAtMs: number | undefined;
  readonly endsAtMs: number | undefined;
  readonly limit: number | undefined;
  readonly after: Position | undefined;
};

export type ParsedWindow =
  | { readonly ok: true; readonly window: SearchWindow }
  | { readonly ok: false; readonly message: string };

const names = ["starts_at", "ends_at", "limit", "cursor"] as const;
const cursorShape = /^(-?\d{1,15})_([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;

/** Reads the query of `/search`. Unknown parameters are ignored; a known one may come once and must make sense. */
export function parseSearchWindow(query: ReadonlyMap<string, readonly string[]>): ParsedWindow {
  const given: Partial<Record<(typeof names)[number], string>> = {};
  for (const name of names) {
    const values = query.get(name) ?? [];
    if (values.length > 1) return refuse(`${name} must be given once`);
    if (values[0] !== undefined) given[name] = values[0];
  }
  const starts = given.starts_at === undefined ? undefined : findQueryTime(given.starts_at);
  // What is finer than a millisecond narrows the window, however many digits say so.
  const startsAtMs = starts && starts.ms + (starts.finer === "" ? 0 : 1);
  if (given.starts_at !== undefined && !isNamable(startsAtMs)) return refuse(badTime("starts_at"));
  const ends = given.ends_at === undefined ? undefined : findQueryTime(given.ends_at);
  const endsAtMs = ends?.ms;
  if (given.ends_at !== undefined && !isNamable(endsAtMs)) return refuse(badTime("ends_at"));
  if (starts !== undefined && ends !== undefined && isBefore(ends, starts)) {
    return refuse("ends_at must not be before starts_at");
  }
  const limit = given.limit === undefined ? undefined : Number(/^[1-9]\d{0,3}$/.exec(given.limit)?.[0] ?? Number.NaN);
  if (limit !== undefined && !(limit <= maxSearchLimit)) {
    return refuse(`limit must be an integer from 1 to ${maxSearchLimit}`);
  }
  const after = given.cursor === undefined ? undefined : decodeCursor(given.cursor);
  if (given.cursor !== undefined && after === undefined) return refuse("cursor must be one from a Link header");
  return { ok: true, window: { startsAtMs, endsAtMs, limit, after } };
}

/** Equal for windows that mean the same. */
export function windowKey({ startsAtMs, endsAtMs, limit, after }: SearchWindow): string {
  return `${startsAtMs ?? ""},${endsAtMs ?? ""},${limit ?? ""},${after === undefined ? "" : encodeCursor(after)}`;
}

export function encodeCursor({ startsAtMs, id }: Position): string {
  return `${startsAtMs}_${id}`;
}

function decodeCursor(text: string): Position | undefined {
  const [, startsAt, id] = cursorShape.exec(text) ?? [];
  if (startsAt === undefined || id === undefined || !isNamableInstant(Number(startsAt))) return undefined;
  return { startsAtMs: Number(startsAt), id };
}

/** Path and query of the page after the one that ends at `last`. */
export function nextPage({ startsAtMs, endsAtMs, limit }: SearchWindow, last: Position): string {
  const query = new URLSearchParams();
  if (startsAtMs !== undefined) query.set("starts_at", new Date(startsAtMs).toISOString());
  if (endsAtMs !== undefined) query.set("ends_at", new Date(endsAtMs).toISOString());
  if (limit !== undefined) query.set("limit", String(limit));
  query.set("cursor", encodeCursor(last));
  return `/search?${query}`;
}

const fraction = /\.(\d+)/;
// RFC 3339, but for the zone, which may be left out: stricter than what feeds may say.
const queryTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?$/i;

/** Whole milliseconds in UTC, and the digits behind them without zeros at their end. */
type QueryTime = { readonly ms: number; readonly finer: string };

/** A time of a query; without a zone it is UTC. A `+` of an offset may have become a space on its way. */
function findQueryTime(given: string): QueryTime | undefined {
  const text = given.replace(/(T.*) (?=\d\d:\d\d$)/i, "$1+");
  const time = queryTime.test(text) ? findWallTime(text.replace(fraction, "")) : undefined;
  if (time === undefined) return undefined;
  const digits = fraction.exec(text)?.[1] ?? "";
  const ms = time.asUtcMs - (time.offsetMinutes ?? 0) * 60_000 + Number(digits.slice(0, 3).padEnd(3, "0"));
  return { ms, finer: digits.slice(3).replace(/0+$/, "") };
}

function isBefore(a: QueryTime, b: QueryTime): boolean {
  return a.ms < b.ms || (a.ms === b.ms && a.finer < b.finer);
}

function isNamable(ms: number | undefined): boolean {
  return ms !== undefined && isNamableInstant(ms);
}

function badTime(name: string): string {
  return `${name} must be a time like 2021-06-30T21:00:00Z; without a zone it is UTC`;
}

function refuse(message: string): ParsedWindow {
  return { ok: false, message };
}

/** The query of a request target, by name; undefined when it is not percent-encoded UTF-8. */
export function parseQueryString(target: string): Map<string, string[]> | undefined {
  const values = new Map<string, string[]>();
  const start = target.indexOf("?");
  if (start < 0) return values;
  try {
    for (const pair of (target.slice(start + 1).split("#", 1)[0] ?? "").split("&")) {
      if (pair === "") continue;
      const [name = "", ...rest] = pair.replaceAll("+", " ").split("=");
      const key = decodeURIComponent(name);
      values.set(key, [...(values.get(key) ?? []), decodeURIComponent(rest.join("="))]);
    }
    return values;
  } catch {
    return undefined;
  }
}
