import { MoneyError } from "./errors.ts";

// Asked of the runtime when a currency is first met: its data for all of them would take 7 MB of every process.
const digitsByCurrency = new Map<string, number>();
let known: ReadonlySet<string> | undefined;

function findDigits(code: string): number | undefined {
  const seen = digitsByCurrency.get(code);
  if (seen !== undefined) return seen;
  known ??= new Set(Intl.supportedValuesOf("currency"));
  if (!known.has(code)) return undefined;
  const format = new Intl.NumberFormat("en", { style: "currency", currency: code });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  digitsByCurrency.set(code, digits);
  return digits;
}

/** True for an upper-case ISO 4217 code that this runtime knows. */
export function isCurrency(code: string): boolean {
  return findDigits(code) !== undefined;
}

/** Decimals of the currency's minor unit: EUR 2, JPY 0, KWD 3. Throws `MoneyError` for an unknown currency. */
export function minorDigits(currency: string): number {
  const digits = findDigits(currency);
  if (digits === undefined) throw new MoneyError("unknown_currency", `"${currency}" is not an ISO 4217 currency`);
  return digits;
}
