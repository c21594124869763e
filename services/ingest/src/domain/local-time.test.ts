import { findWallTime } from "@pricing-engine/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeToInstant } from "./local-time.ts";

const instant = (text: string, timezone = "UTC"): string | undefined => {
  const time = findWallTime(text);
  return time && new Date(makeToInstant(timezone)(time)).toISOString();
};

describe("wall times", () => {
  it.each([
    "2021-09-31T20:00:00",
    "2021-02-29T00:00:00",
    "2021-13-01T00:00:00",
    "2021-00-01T00:00:00",
    "2021-01-00T00:00:00",
    "2021-01-01T24:00:00",
    "2021-01-01T00:60:00",
    "2021-01-01T00:00:60",
    "0000-01-01T00:00:00",
    "2021-01-01",
    "2021-1-1T00:00:00",
    "21-01-01T00:00:00",
    "2021-01-01T00:00:00+24:00",
    "2021-01-01T00:00:00 Europe/Madrid",
    " 2021-01-01T00:00:00",
    "２０２１-01-01T00:00:00",
    "now",
    "",
  ])("%j is none", (text) => {
    expect(findWallTime(text)).toBeUndefined();
  });

  it.each([
    ["2021-06-30T21:00:00", "UTC", "2021-06-30T21:00:00.000Z"],
    ["2021-06-30 21:00", "UTC", "2021-06-30T21:00:00.000Z"],
    ["2020-02-29T00:00:00.123456789", "UTC", "2020-02-29T00:00:00.000Z"],
    ["2021-06-30T21:00:00Z", "Europe/Madrid", "2021-06-30T21:00:00.000Z"],
    ["2021-06-30T21:00:00-03:30", "Europe/Madrid", "2021-07-01T00:30:00.000Z"],
    ["2021-06-30T21:00:00", "Europe/Madrid", "2021-06-30T19:00:00.000Z"],
    ["2021-12-30T21:00:00", "Europe/Madrid", "2021-12-30T20:00:00.000Z"],
    ["2021-12-30T21:00:00", "Asia/Kathmandu", "2021-12-30T15:15:00.000Z"],
    // The hour from 2 to 3 is skipped, and in autumn comes twice.
    ["2021-03-28T02:30:00", "Europe/Madrid", "2021-03-28T01:30:00.000Z"],
    ["2021-10-31T02:30:00", "Europe/Madrid", "2021-10-31T00:30:00.000Z"],
    ["2021-10-31T03:00:00", "Europe/Madrid", "2021-10-31T02:00:00.000Z"],
    ["2011-12-30T12:00:00", "Pacific/Apia", "2011-12-30T22:00:00.000Z"],
  ])("%s in %s is %s", (text, timezone, expected) => {
    expect(instant(text, timezone)).toBe(expected);
  });

  it("is what a clock in that zone shows", () => {
    const zones = ["UTC", "Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"];
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.date({ min: new Date("1990-01-01"), max: new Date("2037-01-01"), noInvalidDate: true }),
        (timezone, date) => {
          const shown = new Date(Math.floor(date.getTime() / 1000) * 1000)
            .toLocaleString("sv-SE", { timeZone: timezone })
            .replace(" ", "T");
          const time = findWallTime(shown);
          if (time === undefined) return false;
          const again = new Date(makeToInstant(timezone)(time)).toLocaleString("sv-SE", { timeZone: timezone });
          return again.replace(" ", "T") === shown && time.local === shown;
        },
      ),
      { numRuns: 300 },
    );
  });
});
