import { minorDigits } from "@pricing-engine/money";

/** Most that the payment service takes, in its hundredths. */
const maxHundredths = 1_000_000_000_000n;

export interface Total {
  /** In the currency's minor units. */
  readonly totalMinor: number;
  /** The same in hundredths of the unit, in which the payment service counts whatever the currency. */
  readonly amountMinor: number;
}

/** Exact; undefined when it is more than can be charged. Thousandths (KWD) that prices may have are rounded at the very end. */
export function totalOf(
  lines: readonly { readonly unitPriceMinor: number; readonly quantity: number }[],
  currency: string,
): Total | undefined {
  const minor = lines.reduce((sum, line) => sum + BigInt(line.unitPriceMinor) * BigInt(line.quantity), 0n);
  const scale = 10n ** BigInt(minorDigits(currency));
  const hundredths = (minor * 100n + scale / 2n) / scale;
  if (hundredths > maxHundredths || minor > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  return { totalMinor: Number(minor), amountMinor: Number(hundredths) };
}
