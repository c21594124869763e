import {
  compare,
  type Decimal,
  decimal,
  equals,
  fromMinor,
  minorDigits,
  multiply,
  shift,
  toMinor,
} from "@pricing-engine/money";
import type { Rounding } from "./policy.ts";

const two = decimal(2);

/**
 * The price in whole minor units, within `lowMinor` and `highMinor` (inclusive, `low` ≤ `high`), which the price itself
 * is within. Allowed are k × increment + ending with k ≥ 0: the nearest one inside, ties down. When none is inside, or
 * the currency cannot express them, the nearest minor unit, half-even.
 */
export function roundPrice(
  price: Decimal,
  currency: string,
  rounding: Rounding | undefined,
  lowMinor: number,
  highMinor: number,
): number {
  const allowed = rounding === undefined ? undefined : nearestAllowed(price, currency, rounding, lowMinor, highMinor);
  if (allowed !== undefined) return allowed;
  return Math.min(Math.max(toMinor(price, currency, "half-even"), lowMinor), highMinor);
}

function nearestAllowed(
  price: Decimal,
  currency: string,
  rounding: Rounding,
  lowMinor: number,
  highMinor: number,
): number | undefined {
  const increment = wholeMinor(rounding.increment, currency);
  const ending = wholeMinor(rounding.ending, currency);
  if (increment === undefined || ending === undefined) return undefined;
  const whole = toMinor(price, currency, "down");
  const below = Math.floor((whole - ending) / increment) * increment + ending;
  const above = below + increment;
  const belowFits = below >= 0 && below >= lowMinor;
  const aboveFits = above <= highMinor;
  if (!belowFits) return aboveFits ? above : undefined;
  if (!aboveFits) return below;
  const middle = decimal(below + above);
  const twice = multiply(shift(price, minorDigits(currency)), two);
  return compare(twice, middle) <= 0 ? below : above;
}

function wholeMinor(value: Decimal, currency: string): number | undefined {
  const minor = toMinor(value, currency, "down");
  return equals(fromMinor(minor, currency), value) ? minor : undefined;
}
