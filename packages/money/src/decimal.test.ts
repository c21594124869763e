import Big from "big.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  add,
  compare,
  decimal,
  equals,
  findDecimal,
  multiply,
  type Rounding,
  roundDouble,
  roundTo,
  shift,
  subtract,
  toText,
} from "./decimal.ts";
import { MoneyError } from "./errors.ts";

const modes = { down: 0, "half-up": 1, "half-even": 2, up: 3 } as const satisfies Record<Rounding, number>;

const plainText = fc
  .tuple(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.nat({ max: 12 }))
  .map(([digits, scale]) => new Big(digits.toString()).times(new Big(10).pow(-scale)).toFixed())
  .filter((text) => !text.startsWith("-0") || text.includes("."));

describe("decimals agree with big.js", () => {
  it("in sums, differences, products, order and text", () => {
    fc.assert(
      fc.property(plainText, plainText, (left, right) => {
        const [a, b] = [decimal(left), decimal(right)];
        const [x, y] = [new Big(left), new Big(right)];
        expect(toText(add(a, b))).toBe(x.plus(y).toFixed());
        expect(toText(subtract(a, b))).toBe(x.minus(y).toFixed());
        expect(toText(multiply(a, b))).toBe(x.times(y).toFixed());
        expect(compare(a, b)).toBe(x.cmp(y));
        expect(toText(a)).toBe(x.toFixed());
      }),
    );
  });

  it("in every rounding, at every place", () => {
    const rounding = fc.constantFrom<Rounding>("down", "half-up", "half-even", "up");
    fc.assert(
      fc.property(plainText, fc.nat({ max: 12 }), rounding, (text, places, mode) => {
        expect(toText(roundTo(decimal(text), places, mode))).toBe(new Big(text).round(places, modes[mode]).toFixed());
      }),
    );
  });

  it("in what a double stands for, and in rounding it", () => {
    const double = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e20, max: 1e20 }),
      fc.double({ noNaN: true, min: -2, max: 2 }),
      // Ties and their neighbours, where the fast way must not be taken.
      fc.integer({ min: -(10 ** 12), max: 10 ** 12 }).map((tie) => (tie + 0.5) / 1e9),
    );
    fc.assert(
      fc.property(double, (value) => {
        expect(toText(decimal(value))).toBe(new Big(value).toFixed());
        expect(toText(roundDouble(value, 9))).toBe(new Big(value).round(9, 2).toFixed());
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a decimal", () => {
  it.each(["", "1e3", ".5", "5.", "+1", "01", "1,5", "NaN", "0x10", " 1", "1\n", "9".repeat(32)])(
    "is not made of %j",
    (text) => {
      expect(findDecimal(text)).toBeUndefined();
      expect(() => decimal(text)).toThrow(MoneyError);
    },
  );

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("is not made of %d", (value) => {
    expect(() => decimal(value)).toThrow(MoneyError);
  });

  it.each([
    ["0.000000000500", 9, "half-even", "0"],
    ["0.000000001500", 9, "half-even", "0.000000002"],
    ["-2.5", 0, "half-even", "-2"],
    ["-2.5", 0, "half-up", "-3"],
    ["-2.1", 0, "up", "-3"],
    ["2.9", 0, "down", "2"],
  ] as const)("%s to %d places %s is %s", (text, places, mode, expected) => {
    expect(toText(roundTo(decimal(text), places, mode))).toBe(expected);
  });

  it("equals itself whatever its zeros, and shifts exactly", () => {
    expect(equals(decimal("19.90"), decimal("19.9"))).toBe(true);
    expect(toText(shift(decimal("19.9"), 2))).toBe("1990");
    expect(toText(shift(decimal("1990"), -2))).toBe("19.9");
    expect(toText(shift(decimal("19.9"), 0))).toBe("19.9");
  });
});
