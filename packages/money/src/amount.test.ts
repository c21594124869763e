import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findAmount, formatMinor, fromMinor, parseAmount, toMinor } from "./amount.ts";
import { isCurrency, minorDigits } from "./currency.ts";
import { decimal, toText } from "./decimal.ts";
import { MoneyError } from "./errors.ts";

const currency = fc.constantFrom("EUR", "JPY", "KWD", "USD");

describe("amounts", () => {
  it("come back as they went", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), currency, (minor, code) => {
        expect(parseAmount(formatMinor(minor, code), code)).toBe(minor);
        expect(toMinor(fromMinor(minor, code), code, "half-even")).toBe(minor);
      }),
    );
  });

  it.each([
    ["19.90", "EUR", 1990],
    ["19.9", "EUR", 1990],
    ["0", "EUR", 0],
    ["-0.01", "EUR", -1],
    ["500", "JPY", 500],
    ["500.0", "JPY", 500],
    ["1.234", "KWD", 1234],
  ])("%s %s is %d", (text, code, minor) => {
    expect(parseAmount(text, code)).toBe(minor);
  });

  it.each([
    ["19.901", "EUR", "too_precise"],
    ["0.5", "JPY", "too_precise"],
    ["abc", "EUR", "not_a_decimal"],
    ["90071992547409.92", "EUR", "out_of_range"],
    ["1", "XXZ", "unknown_currency"],
    ["1", "eur", "unknown_currency"],
  ])("%s %s is refused: %s", (text, code, reason) => {
    expect(() => parseAmount(text, code)).toThrow(expect.objectContaining({ reason }));
    expect(findAmount(text, code)).toBeUndefined();
  });

  it.each([
    [1990, "EUR", "19.90"],
    [5, "EUR", "0.05"],
    [-5, "EUR", "-0.05"],
    [0, "EUR", "0.00"],
    [500, "JPY", "500"],
    [1, "KWD", "0.001"],
  ])("%d %s is written %s", (minor, code, text) => {
    expect(formatMinor(minor, code)).toBe(text);
  });

  it("a sum beyond the safe integers is a bigint", () => {
    expect(formatMinor(10n ** 18n + 1n, "EUR")).toBe("10000000000000000.01");
    expect(formatMinor(-5n, "KWD")).toBe("-0.005");
    expect(formatMinor(-(10n ** 18n), "JPY")).toBe("-1000000000000000000");
  });

  it("are refused beyond what is exact", () => {
    expect(() => formatMinor(2 ** 53, "EUR")).toThrow(MoneyError);
    expect(() => formatMinor(0.5, "EUR")).toThrow(MoneyError);
    expect(() => toMinor(decimal("1e3".replace("e3", "0".repeat(20))), "EUR", "up")).toThrow(MoneyError);
  });

  it("round as asked", () => {
    expect(toMinor(decimal("10.005"), "EUR", "half-even")).toBe(1000);
    expect(toMinor(decimal("10.015"), "EUR", "half-even")).toBe(1002);
    expect(toMinor(decimal("10.001"), "EUR", "up")).toBe(1001);
    expect(toMinor(decimal("10.009"), "EUR", "down")).toBe(1000);
    expect(toText(fromMinor(1990, "EUR"))).toBe("19.9");
  });
});

describe("currencies", () => {
  it.each([
    ["EUR", 2],
    ["JPY", 0],
    ["KWD", 3],
    ["HUF", 2],
    ["IQD", 3],
  ])("%s has %d decimals", (code, digits) => {
    expect(minorDigits(code)).toBe(digits);
    expect(isCurrency(code)).toBe(true);
  });

  it("are those that this runtime knows, with its decimals where it does not shorten what is shown", () => {
    // CLDR leaves out decimals that nobody pays in cash.
    const shortened = "AFN ALL COP HUF IDR IQD IRR KPW LAK LBP MGA MMK PKR SLL SOS SYP YER".split(" ");
    for (const code of Intl.supportedValuesOf("currency")) {
      const format = new Intl.NumberFormat("en", { style: "currency", currency: code });
      const shown = format.resolvedOptions().maximumFractionDigits ?? 2;
      expect([code, shown]).toEqual([code, shortened.includes(code) ? 0 : minorDigits(code)]);
    }
  });

  it("are those of ISO 4217 alone", () => {
    expect(["eur", "EURO", "", "__proto__", "XXZ"].filter(isCurrency)).toEqual([]);
    expect(() => minorDigits("XXZ")).toThrow(MoneyError);
  });
});
