import { MoneyError } from "./errors.ts";

/*
 * Decimals of the minor unit, by ISO 4217 (list one; with codes that were withdrawn of late, for stored prices). Not asked of Intl:
 * it gives what is usual to show (HUF and IDR without decimals), it changes with the runtime, and its data takes 6 MB of a process.
 */
const codesByDigits: Readonly<Record<number, string>> = {
  0: `
    BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF`,
  2: `
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY
    COP CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF
    IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK
    MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE
    SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD XCG XDR XSU YER
    ZAR ZMW ZWG ZWL`,
  3: `
    BHD IQD JOD KWD LYD OMR TND`,
};

const digitsByCurrency: ReadonlyMap<string, number> = new Map(
  Object.entries(codesByDigits).flatMap(([digits, codes]) =>
    codes
      .trim()
      .split(/\s+/)
      .map((code) => [code, Number(digits)] as const),
  ),
);

/** True for an upper-case ISO 4217 code. */
export function isCurrency(code: string): boolean {
  return digitsByCurrency.has(code);
}

/** Decimals of the currency's minor unit: EUR 2, JPY 0, KWD 3. Throws `MoneyError` for an unknown currency. */
export function minorDigits(currency: string): number {
  const digits = digitsByCurrency.get(currency);
  if (digits === undefined) throw new MoneyError("unknown_currency", `"${currency}" is not an ISO 4217 currency`);
  return digits;
}
