import { findAmount, isCurrency } from "@pricing-engine/money";
import { z } from "zod";

// Ten digits before the point: in minor units, times the largest quantity of one line that sells, it is still exact.
const decimalAmount = /^(?:0|[1-9]\d{0,9})(?:\.\d{1,2})?$/;
const amountProblem = "must be a decimal of at least 0 with at most 2 decimals, below 10000000000";

/**
 * A price as clients send it: a decimal string, or a JSON number. Comes out as decimal text.
 * The currency may allow fewer decimals (JPY): `fitsCurrency` says so where the currency is known.
 */
export const amountInput = z
  .union([z.string(), z.number()], { error: amountProblem })
  .transform(String)
  .pipe(z.string().regex(decimalAmount, { error: amountProblem }))
  .meta({ description: "Decimal, at least 0, at most 2 decimals.", example: "19.90" });

/** Money as we answer it: always a decimal string, with the currency's digits. */
export const amount = z.string().meta({ description: "Decimal string in the currency's digits.", example: "19.90" });

/** An ISO 4217 code by its form alone; whether a product is sold in it depends on stored data (422). */
export const currencyCode = z
  .string()
  .regex(/^[A-Z]{3}$/, { error: "must be an ISO 4217 code of three capital letters" })
  .meta({ description: "ISO 4217 code.", example: "EUR" });

/** A currency that we can count in: its minor unit is known. */
export const knownCurrency = currencyCode
  .refine(isCurrency, { error: "is not a currency of ISO 4217" })
  .meta({ description: "ISO 4217 code.", example: "EUR" });

/** Whether decimal text is a whole number of the currency's minor units. */
export function fitsCurrency(decimalText: string, currency: string): boolean {
  return isCurrency(currency) && findAmount(decimalText, currency) !== undefined;
}

/** Units of one line: an integer from 1 to 1,000,000. */
export const quantity = z.int().min(1).max(1_000_000).meta({ description: "Units, 1 to 1,000,000.", example: 1 });

/** Units on hand; Postgres keeps it as an integer of 32 bits. */
export const stock = z.int().min(0).max(2_147_483_647).meta({ description: "Units on hand.", example: 120 });
