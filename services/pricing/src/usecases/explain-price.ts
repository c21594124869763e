import { AppError } from "@pricing-engine/chassis/errors";
import type { CustomerContext, ExplainResponse } from "@pricing-engine/contracts";
import { formatMinor } from "@pricing-engine/money";
import { query } from "@pricing-engine/postgres";
import { findRecordedPrice } from "../adapters/history-reader.ts";
import { findExplainedBasis, type MarketSteps } from "../adapters/quote-reader.ts";
import type { Decision } from "../domain/decision.ts";
import { quote } from "../domain/quote.ts";
import { recordSteps } from "../domain/steps.ts";
import type { ListPrice, Quote } from "../domain/types.ts";
import { currentCostMinor } from "../domain/views.ts";
import { decidePrice } from "./decide-price.ts";
import { deadlineMs } from "./deps.ts";
import { markShown } from "./mark-shown.ts";
import type { ReadDeps } from "./read-deps.ts";

export type ExplainResult =
  | { readonly kind: "explained"; readonly explanation: ExplainResponse }
  | { readonly kind: "unknown_product" }
  | { readonly kind: "currency_not_sold"; readonly currency: string }
  /** No key of ours signed it, or it is about another product. */
  | { readonly kind: "unknown_decision" }
  /** The product's history does not hold the market price that it was made from, or no longer. */
  | { readonly kind: "unrecorded_decision" };

export interface ExplainPrice {
  /** Why the price would be what it is now. */
  forContext(productId: string, context: CustomerContext): Promise<ExplainResult>;
  /** Why it was what a decision says, also after that has expired. */
  forDecision(productId: string, decisionId: string): Promise<ExplainResult>;
}

/** As in the entries of a history. Signed tokens hold dots. */
const marketDecision = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Explanations are computed by the functions that make the price, from what they were given. */
export function makeExplainPrice(deps: ReadDeps): ExplainPrice {
  const { pool, policies, settings, signer } = deps;

  /** The history names its entries by plain ids: a market price belongs to no customer, so there is nothing to sign. */
  async function explainMarketPrice(productId: string, decisionId: string): Promise<ExplainResult> {
    const recorded = await query(pool, deadlineMs, (on) => findRecordedPrice(on, productId, { decisionId }));
    if (recorded === undefined) return { kind: "unrecorded_decision" };
    const { policyVersion, decidedAtMs, priceMinor: finalPriceMinor } = recorded;
    const { currency } = recorded.facts.product;
    const unchanged = { finalPriceMinor, currency, bindingRule: undefined, steps: [], shadow: [], skipped: [] };
    const about = { productId, decisionId, policyVersion, decidedAtMs };
    return { kind: "explained", explanation: explanationOf(about, recorded, unchanged, currency) };
  }

  return {
    async forContext(productId, context) {
      const found = await query(pool, deadlineMs, async (on) => {
        const explained = await findExplainedBasis(on, productId);
        if (explained === undefined) return undefined;
        return { ...explained, policy: (await policies.get(on, explained.basis.policyVersion)).policy };
      });
      if (found === undefined) return { kind: "unknown_product" };
      const { basis, market, policy } = found;
      const result = decidePrice({ basis, policy, context }, { settings: settings(), signer });
      if (!result.ok) return { kind: "currency_not_sold", currency: result.currency };
      await markShown(deps, [basis]);
      const { quote: made, response } = result.decided;
      const about = {
        productId,
        decisionId: response.decision_id,
        policyVersion: basis.policyVersion,
        decidedAtMs: basis.nowMs,
      };
      return { kind: "explained", explanation: explanationOf(about, market, made, basis.market.currency) };
    },

    async forDecision(productId, decisionId) {
      if (marketDecision.test(decisionId)) return explainMarketPrice(productId, decisionId);
      const verified = signer.verify(decisionId);
      if (!verified.ok || verified.decision.productId !== productId) return { kind: "unknown_decision" };
      const { decision } = verified;
      const found = await query(pool, deadlineMs, async (on) => {
        const recorded = await findRecordedPrice(on, productId, { sequence: decision.marketSequence });
        if (recorded === undefined) return undefined;
        return {
          recorded,
          signalTtlMs: (await policies.get(on, recorded.policyVersion)).signalTtlMs,
          policy: (await policies.get(on, decision.policyVersion)).policy,
        };
      });
      if (found === undefined) return { kind: "unrecorded_decision" };
      const { recorded, signalTtlMs, policy } = found;
      const { product, signals } = recorded.facts;
      const costMinor = currentCostMinor(product, signals, signalTtlMs, recorded.decidedAtMs);
      const { currency, basePriceMinor } = product;
      const result = quote(
        {
          product,
          market: { currency, priceMinor: recorded.priceMinor, basePriceMinor, costMinor },
          listPrices: listPricesOf(decision),
          customer: decision.customer,
          quantity: decision.quantity,
          currency: decision.requestedCurrency,
          nowMs: decision.issuedAtMs,
        },
        policy,
      );
      if (!result.ok || result.quote.finalPriceMinor !== decision.priceMinor) {
        throw new AppError("internal", { context: { decision }, detail: "a decision cannot be computed again" });
      }
      const { policyVersion, issuedAtMs: decidedAtMs } = decision;
      const about = { productId, decisionId, policyVersion, decidedAtMs };
      return { kind: "explained", explanation: explanationOf(about, recorded, result.quote, currency) };
    },
  };
}

/** The list price as it was then: it may have been changed since. */
function listPricesOf({ listPriceMinor: priceMinor, currency }: Decision): ListPrice[] {
  if (priceMinor === undefined) return [];
  const always = { segment: undefined, minQuantity: 1, validFromMs: undefined, validToMs: undefined, priority: 0 };
  return [{ id: "decided", currency, priceMinor, ...always }];
}

function explanationOf(
  about: { productId: string; decisionId: string; policyVersion: number; decidedAtMs: number },
  market: MarketSteps,
  made: Pick<Quote, "finalPriceMinor" | "currency" | "bindingRule" | "steps" | "shadow" | "skipped">,
  marketCurrency: string,
): ExplainResponse {
  // A list price in another currency does not come from the market price.
  const fromMarket = made.currency === marketCurrency;
  return {
    product_id: about.productId,
    final_price: formatMinor(made.finalPriceMinor, made.currency),
    currency: made.currency,
    decision_id: about.decisionId,
    policy_version: about.policyVersion,
    binding_rule: made.bindingRule ?? (fromMarket ? market.bindingRule : undefined) ?? null,
    steps: [...(fromMarket ? market.steps : []), ...recordSteps(made.steps, made.currency)],
    shadow: [...(fromMarket ? market.shadow : []), ...recordSteps(made.shadow, made.currency)],
    skipped: [...(fromMarket ? market.skipped : []), ...made.skipped],
    decided_at: new Date(about.decidedAtMs).toISOString(),
  };
}
