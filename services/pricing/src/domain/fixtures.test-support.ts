import { compilePolicy } from "./compile-policy.ts";
import type { Policy } from "./policy.ts";
import type { MarketFacts, PolicySource, ProductFacts, QuoteRequest, SignalTtl } from "./types.ts";

// What the tests of this folder start from.

export const nowMs = Date.UTC(2026, 10, 20, 12);
const hourMs = 3_600_000;
export const signalTtlMs: SignalTtl = { demand: hourMs, competitor_price: 6 * hourMs, stock: 24 * hourMs, cost: 0 };

export function product(overrides: Partial<ProductFacts> = {}): ProductFacts {
  return {
    productId: "concert",
    name: "Concert 42, stalls",
    currency: "EUR",
    basePriceMinor: 2000,
    cost: undefined,
    stock: undefined,
    attributes: {},
    ...overrides,
  };
}

export function facts(
  overrides: Partial<Omit<MarketFacts, "product">> & { product?: Partial<ProductFacts> } = {},
): MarketFacts {
  return { signals: {}, last: undefined, dayAgo: undefined, ...overrides, product: product(overrides.product) };
}

export function quoteRequest(overrides: Partial<QuoteRequest> = {}): QuoteRequest {
  return {
    product: product(),
    market: { currency: "EUR", priceMinor: 2000, basePriceMinor: 2000, costMinor: undefined },
    listPrices: [],
    customer: { prime: false, location: "", segment: "" },
    quantity: 1,
    currency: undefined,
    nowMs,
    ...overrides,
  };
}

export function euros(priceMinor: number): { readonly priceMinor: number; readonly currency: string } {
  return { priceMinor, currency: "EUR" };
}

/** The compiled policy; throws its errors. */
export function policyOf(source: PolicySource): Policy {
  const result = compilePolicy(source);
  if (!result.ok) throw new Error(JSON.stringify(result.errors));
  return result.policy;
}
