import { expect, it } from "vitest";
import { totalOf } from "./total.ts";

it.each([
  { currency: "EUR", lines: [{ unitPriceMinor: 1999, quantity: 3 }], totalMinor: 5997, amountMinor: 5997 },
  { currency: "JPY", lines: [{ unitPriceMinor: 500, quantity: 2 }], totalMinor: 1000, amountMinor: 100_000 },
  { currency: "KWD", lines: [{ unitPriceMinor: 1235, quantity: 1 }], totalMinor: 1235, amountMinor: 124 },
  { currency: "EUR", lines: [{ unitPriceMinor: 0, quantity: 1 }], totalMinor: 0, amountMinor: 0 },
])("$currency $lines", ({ currency, lines, ...expected }) => {
  expect(totalOf(lines, currency)).toEqual(expected);
});

it("is nothing beyond what can be charged", () => {
  expect(totalOf([{ unitPriceMinor: 999_999_999_999, quantity: 1_000_000 }], "EUR")).toBeUndefined();
});
