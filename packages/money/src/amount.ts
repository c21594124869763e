import { minorDigits } from "./currency.ts";
import { compare, type Decimal, findDecimal, type Rounding, roundTo, shift } from "./decimal.ts";
import { MoneyError } from "./errors.ts";

/**
 * The amount in integer minor units. Throws `MoneyError` when the text is not a plain decimal (`-`, digits, a point,
 * digits), is more precise than the currency ("0.5" yen) or leaves the safe integers.
 */
export function parseAmount(text: string, currency: string): number {
  const value = findDecimal(text);
  if (value === undefined) throw new MoneyError("not_a_decimal", `"${text.slice(0, 40)}" is not a decimal amount`);
  const minor = shift(value, minorDigits(currency));
  const whole = roundTo(minor, 0, "down");
  if (compare(whole, minor) !== 0) {
    throw new MoneyError("too_precise", `"${text.slice(0, 40)}" has more decimals than ${currency} has`);
  }
  return safe(Number(whole.coefficient));
}

/** As `parseAmount`, but undefined for everything that is not an amount of that currency. */
export function findAmount(text: string, currency: string): number | undefined {
  try {
    return parseAmount(text, currency);
  } catch (error) {
    if (error instanceof MoneyError) return undefined;
    throw error;
  }
}

/**
 * Minor units as the decimal string of the contracts: `formatMinor(1990, "EUR")` is "19.90". A sum over many amounts may
 * leave the safe integers: it comes as a bigint.
 */
export function formatMinor(minor: number | bigint, currency: string): string {
  const digits = minorDigits(currency);
  const whole = typeof minor === "bigint" ? minor : safe(minor);
  const sign = whole < 0 ? "-" : "";
  const text = String(whole)
    .replace("-", "")
    .padStart(digits + 1, "0");
  return digits === 0 ? `${sign}${text}` : `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

/** Minor units as an exact decimal of the major unit. */
export function fromMinor(minor: number, currency: string): Decimal {
  return { coefficient: BigInt(safe(minor)), scale: minorDigits(currency) };
}

/** A decimal of the major unit in integer minor units. Throws `MoneyError` beyond the safe integers. */
export function toMinor(value: Decimal, currency: string, rounding: Rounding): number {
  return safe(Number(roundTo(shift(value, minorDigits(currency)), 0, rounding).coefficient));
}

function safe(minor: number): number {
  if (Number.isSafeInteger(minor)) return minor === 0 ? 0 : minor;
  throw new MoneyError("out_of_range", "the amount is beyond what can be counted exactly in minor units");
}
