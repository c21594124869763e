import type { Decimal } from "@pricing-engine/money";

/** What rules see as `product`, and where a price starts. Amounts are minor units of `currency`. */
export interface ProductFacts {
  readonly productId: string;
  readonly name: string;
  readonly currency: string;
  readonly basePriceMinor: number;
  readonly cost: ProductCost | undefined;
  readonly stock: number | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** The cost as the product states it, and when it was stated: a cost signal observed later replaces it. */
export interface ProductCost {
  readonly costMinor: number;
  readonly statedAtMs: number;
}

export const signalKinds = ["demand", "competitor_price", "stock", "cost"] as const;
export type SignalKind = (typeof signalKinds)[number];

interface Observed {
  readonly observedAtMs: number;
}

/** The latest observation of each kind, stale ones included: `publish` decides what still counts. */
export interface Signals {
  readonly demand?: (Observed & { readonly demand: number }) | undefined;
  readonly competitor_price?: (Observed & { readonly priceMinor: number; readonly confidence: number }) | undefined;
  readonly stock?: (Observed & { readonly stock: number }) | undefined;
  readonly cost?: (Observed & { readonly costMinor: number }) | undefined;
}

/** Milliseconds for which a signal of each kind counts; 0: it never expires. */
export type SignalTtl = Readonly<Record<SignalKind, number>>;

/** Everything a market price follows from, besides the policy and the time. */
export interface MarketFacts {
  readonly product: ProductFacts;
  readonly signals: Signals;
  /** The price in force, what `maxStep` counts from; ignored when it is in another currency. */
  readonly last: PublishedPrice | undefined;
  /** The price in force 24 hours ago, what `maxDailyDrift` counts from. */
  readonly dayAgo: PublishedPrice | undefined;
}

export interface PublishedPrice {
  readonly priceMinor: number;
  readonly currency: string;
}

export type Stage = "market" | "customer";

/** One move of a price. A price is the fold of its steps: each `before` is the last `after`. In major units. */
export interface Step {
  readonly stage: Stage;
  readonly rule: string;
  readonly reason: string;
  readonly before: Decimal;
  readonly after: Decimal;
}

/** A step as it is stored and shown: plain decimal texts. */
export interface StepRecord {
  readonly stage: Stage;
  readonly rule: string;
  readonly reason: string;
  readonly before: string;
  readonly after: string;
}

/** A rule that could not be decided, and so did not apply: an absent signal, a division by zero, a missing attribute. */
export interface SkippedRule {
  readonly stage: Stage;
  readonly rule: string;
  readonly reason: string;
}

export interface PriceAlert {
  readonly code: "corridor_empty";
  readonly detail: string;
}

/** What a product costs now, for everybody. */
export interface MarketPrice {
  readonly productId: string;
  readonly currency: string;
  readonly priceMinor: number;
  readonly basePriceMinor: number;
  /** *The* cost, the later of the product's and the signal's: quotes keep above it. */
  readonly costMinor: number | undefined;
  readonly steps: readonly Step[];
  /** What shadow rules would have done; part of no price. */
  readonly shadow: readonly Step[];
  readonly skipped: readonly SkippedRule[];
  /** The rule or bound that decided the price; undefined when the base price stands. */
  readonly bindingRule: string | undefined;
  /** Why the price is what it is, in a sentence: the reason of `bindingRule`. */
  readonly reason: string;
  readonly alert: PriceAlert | undefined;
}

/** What a quote takes from the market price. */
export type MarketBasis = Pick<MarketPrice, "currency" | "priceMinor" | "basePriceMinor" | "costMinor">;

export interface Customer {
  readonly prime: boolean;
  /** "" when not told, as are the others: rules compare without asking first. */
  readonly location: string;
  readonly segment: string;
}

/** A price agreed for a segment, a currency, a quantity and a time. Valid from (inclusive) to (exclusive). */
export interface ListPrice {
  readonly id: string;
  readonly segment: string | undefined;
  readonly currency: string;
  readonly minQuantity: number;
  readonly validFromMs: number | undefined;
  readonly validToMs: number | undefined;
  readonly priceMinor: number;
  readonly priority: number;
}

export interface QuoteRequest {
  readonly product: ProductFacts;
  readonly market: MarketBasis;
  readonly listPrices: readonly ListPrice[];
  readonly customer: Customer;
  readonly quantity: number;
  /** undefined: the product's own. */
  readonly currency: string | undefined;
  readonly nowMs: number;
}

/** What one customer pays for one unit. */
export interface Quote {
  readonly currency: string;
  /** Where the steps start: the market price; with a list price in another currency, that list price. */
  readonly startPriceMinor: number;
  readonly finalPriceMinor: number;
  /** The product's base price; with a list price in another currency, that list price. */
  readonly basePriceMinor: number;
  /** max(0, 1 − final/base), 4 decimals. */
  readonly discountRate: number;
  readonly listPriceId: string | undefined;
  readonly steps: readonly Step[];
  readonly shadow: readonly Step[];
  readonly skipped: readonly SkippedRule[];
  readonly bindingRule: string | undefined;
  /** The next moment at which a list price begins or ends for this customer; undefined: none does. */
  readonly changesAtMs: number | undefined;
}

export type QuoteResult =
  | { readonly ok: true; readonly quote: Quote }
  | { readonly ok: false; readonly code: "currency_not_sold"; readonly currency: string };

/** A rule as it is written. Expressions are CEL; exactly one of `adjust`'s three is given. */
export interface RuleSource {
  readonly name: string;
  readonly priority?: number | undefined;
  readonly when?: string | undefined;
  readonly adjust: {
    readonly multiply?: string | undefined;
    readonly add?: string | undefined;
    readonly set?: string | undefined;
  };
  readonly reason?: string | undefined;
  readonly mode?: "auto" | "shadow" | undefined;
}

/** A policy as it is written: decimal texts and CEL. */
export interface PolicySource {
  readonly market?: readonly RuleSource[] | undefined;
  readonly customer?: readonly RuleSource[] | undefined;
  readonly corridor?:
    | {
        readonly minMargin?: string | undefined;
        readonly floor?: string | undefined;
        readonly ceiling?: string | undefined;
        readonly legalMinimum?: string | undefined;
        readonly maxStep?: string | undefined;
        readonly maxDailyDrift?: string | undefined;
      }
    | undefined;
  readonly rounding?: { readonly increment: string; readonly ending?: string | undefined } | undefined;
}

/** Why a policy is refused: which rule, and where in which of its texts. */
export interface PolicyError {
  readonly stage: Stage | "corridor" | "rounding";
  /** The rule's name; for corridor and rounding the field's. */
  readonly rule: string;
  /** The rule's place in its list, from 0; undefined for corridor and rounding. */
  readonly index: number | undefined;
  readonly field: string;
  /** Character in the expression, from 0; undefined when it is not one place that is wrong. */
  readonly position: number | undefined;
  readonly message: string;
}
