import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeCursor, nextPage, parseSearchWindow, windowKey } from "./search-window.ts";

function parse(query: string) {
  const values = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(query)) values.set(name, [...(values.get(name) ?? []), value]);
  return parseSearchWindow(values);
}

describe("parseSearchWindow", () => {
  it.each([
    ["", undefined, undefined],
    ["other=1&other=2", undefined, undefined],
    ["starts_at=2021-06-30T21:00:00", "2021-06-30T21:00:00.000Z", undefined],
    ["starts_at=2021-06-30T21:00:00Z", "2021-06-30T21:00:00.000Z", undefined],
    ["starts_at=2021-06-30T21:00:00%2B02:00", "2021-06-30T19:00:00.000Z", undefined],
    ["starts_at=2021-06-30T21:00:00+02:00", "2021-06-30T19:00:00.000Z", undefined],
    ["ends_at=2021-06-30T21:00:00.999Z", undefined, "2021-06-30T21:00:00.999Z"],
    ["starts_at=2021-06-30T21:00:00.0001Z", "2021-06-30T21:00:00.001Z", undefined],
    ["starts_at=2021-06-30T21:00:00.0570Z", "2021-06-30T21:00:00.057Z", undefined],
    ["starts_at=2021-06-30T21:00:00.00000000000001Z", "2021-06-30T21:00:00.001Z", undefined],
    ["ends_at=2021-06-30T21:00:00.123999999999999Z", undefined, "2021-06-30T21:00:00.123Z"],
    ["starts_at=2021-06-30T21:00:59.9999Z", "2021-06-30T21:01:00.000Z", undefined],
    ["ends_at=2021-06-30T21:00:00.0009Z", undefined, "2021-06-30T21:00:00.000Z"],
    [
      "starts_at=2021-06-30T21:00:00Z&ends_at=2021-06-30T21:00:00Z",
      "2021-06-30T21:00:00.000Z",
      "2021-06-30T21:00:00.000Z",
    ],
    // The same moment, and one just behind: windows between two milliseconds, which hold nothing.
    [
      "starts_at=2021-06-30T21:00:00.123456Z&ends_at=2021-06-30T21:00:00.1234560Z",
      "2021-06-30T21:00:00.124Z",
      "2021-06-30T21:00:00.123Z",
    ],
    [
      "starts_at=2021-06-30T21:00:00.00019Z&ends_at=2021-06-30T21:00:00.0002Z",
      "2021-06-30T21:00:00.001Z",
      "2021-06-30T21:00:00.000Z",
    ],
  ])("%j", (query, startsAt, endsAt) => {
    const parsed = parse(query);
    if (!parsed.ok) throw new Error(parsed.message);
    const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());
    expect([iso(parsed.window.startsAtMs), iso(parsed.window.endsAtMs)]).toEqual([startsAt, endsAt]);
  });

  it.each([
    "starts_at=",
    "starts_at=tomorrow",
    "starts_at=2021-09-31T00:00:00Z",
    "starts_at=2021-06-30",
    "starts_at=30/06/2021",
    "starts_at=1625086800",
    "starts_at=2021-06-30T25:00:00Z",
    "starts_at=2021-06-30T21:00:00Zjunk",
    "starts_at=2021-06-30 21:00:00",
    "starts_at=0000-01-01T00:00:00Z",
    "starts_at=2021-06-30T21:00:00Z&starts_at=2021-06-30T21:00:00Z",
    "starts_at=2021-06-30T21:00Z",
    "starts_at=2021-06-30T21:00:00,5Z",
    "starts_at=2021-06-30T21:00:00%2B0200",
    "starts_at=2021-06-30T21:00:00%2B02",
    "starts_at=2021-06-30T21:00:00%2B24:00",
    "starts_at=2021-6-30T21:00:00Z",
    "starts_at=+002021-06-30T21:00:00Z",
    "starts_at=2021-02-29T21:00:00Z",
    "starts_at=2021-06-30T24:00:00Z",
    "starts_at=2021-W26-3T21:00:00Z",
    "starts_at=null",
    "starts_at=0001-01-01T00:00:00%2B00:01",
    "ends_at=9999-12-31T23:59:59-00:01",
    "ends_at=2021-13-01T00:00:00Z",
    "ends_at[]=x&ends_at=1",
    "starts_at=2021-06-30T21:00:01Z&ends_at=2021-06-30T21:00:00Z",
    "starts_at=2021-06-30T21:00:00.001Z&ends_at=2021-06-30T21:00:00Z",
    "starts_at=2021-06-30T21:00:00.0002Z&ends_at=2021-06-30T21:00:00.00019Z",
    "starts_at=9999-12-31T23:59:59.9999Z",
    "limit=0",
    "limit=-1",
    "limit=1001",
    "limit=1.5",
    "limit=",
    "limit=10&limit=10",
    "cursor=253402300800000_00000000-0000-8000-8000-000000000000",
    "cursor=-62135596800001_00000000-0000-8000-8000-000000000000",
    "cursor=999999999999999_00000000-0000-8000-8000-000000000000",
    "cursor=x",
    "cursor=",
  ])("refuses %j", (query) => {
    expect(parse(query).ok).toBe(false);
  });

  it("has one key for windows that mean the same, and a next page that it reads itself", () => {
    const a = parse("starts_at=2021-06-30T21:00:00&limit=5");
    const b = parse("limit=5&starts_at=2021-06-30T23:00:00%2B02:00");
    if (!a.ok || !b.ok) throw new Error("refused");
    expect(windowKey(a.window)).toBe(windowKey(b.window));
    fc.assert(
      fc.property(fc.uuid({ version: 8 }), fc.integer({ min: -6e13, max: 2e14 }), (id, startsAtMs) => {
        const next = parse(nextPage(a.window, { startsAtMs, id }).split("?")[1] ?? "");
        return next.ok && next.window.after?.id === id && next.window.after.startsAtMs === startsAtMs;
      }),
    );
    expect(encodeCursor({ startsAtMs: 5, id: "x" })).toBe("5_x");
  });
});
