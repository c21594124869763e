import type { CustomerContext, PriceResponse } from "@pricing-engine/contracts";
import { formatMinor } from "@pricing-engine/money";
import type { DecisionSigner } from "../adapters/decision-signer.ts";
import type { QuoteBasis } from "../adapters/quote-reader.ts";
import type { Policy } from "../domain/policy.ts";
import { quote } from "../domain/quote.ts";
import type { Customer, Quote } from "../domain/types.ts";

/** Live settings of reads, in ms. */
export interface PriceSettings {
  readonly cacheTtlMs: number;
  readonly quoteTtlMs: number;
}

/** What a customer is told, and for how long it may be kept. */
export interface DecidedPrice {
  readonly quote: Quote;
  readonly response: Omit<PriceResponse, "source">;
  /** Since the database's clock was read. */
  readonly cacheTtlMs: number;
}

export type Decided =
  | { readonly ok: true; readonly decided: DecidedPrice }
  | { readonly ok: false; readonly code: "currency_not_sold"; readonly currency: string };

/** Quotes and signs: the one way from a basis to an answer. Pure but for the signature. */
export function decidePrice(
  { basis, policy, context }: { basis: QuoteBasis; policy: Policy; context: CustomerContext },
  { settings, signer }: { settings: PriceSettings; signer: DecisionSigner },
): Decided {
  const { product, market, listPrices, nowMs } = basis;
  const { quantity = 1, currency } = context;
  const customer = customerOf(context);
  const result = quote({ product, market, listPrices, customer, quantity, currency, nowMs }, policy);
  if (!result.ok) return result;
  const { quote: made } = result;
  const { changesAtMs = Number.POSITIVE_INFINITY } = made;
  const validUntilMs = Math.min(nowMs + settings.quoteTtlMs, changesAtMs);
  const decision = {
    productId: product.productId,
    priceMinor: made.finalPriceMinor,
    currency: made.currency,
    customer,
    quantity,
    requestedCurrency: currency,
    policyVersion: basis.policyVersion,
    marketSequence: basis.sequence,
    listPriceMinor: listPrices.find(({ id }) => id === made.listPriceId)?.priceMinor,
    issuedAtMs: nowMs,
    validUntilMs,
  };
  const response = {
    product_id: product.productId,
    final_price: formatMinor(made.finalPriceMinor, made.currency),
    base_price: formatMinor(made.basePriceMinor, made.currency),
    discount_rate: made.discountRate,
    currency: made.currency,
    valid_until: new Date(validUntilMs).toISOString(),
    decision_id: signer.sign(decision),
  };
  // A hit must still be good for an order: what is kept ends no later than its token.
  return {
    ok: true,
    decided: { quote: made, response, cacheTtlMs: Math.min(settings.cacheTtlMs, validUntilMs - nowMs) },
  };
}

export function customerOf(context: CustomerContext): Customer {
  return {
    prime: context.is_prime_member ?? false,
    location: context.user_location ?? "",
    segment: context.segment ?? "",
  };
}
