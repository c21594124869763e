import { type Decimal, roundDouble } from "@pricing-engine/money";

/** Decimals that are kept of what an expression gives; from there on all is exact. */
const decimals = 9;

/** What an expression gave as an exact decimal: 9 decimals, half-even, of the double's shortest text. */
export function toFactor(value: number): Decimal {
  return roundDouble(value, decimals);
}
