import { AppError } from "@pricing-engine/chassis/errors";
import type { QuotesRequest, QuotesResponse } from "@pricing-engine/contracts";
import { formatMinor } from "@pricing-engine/money";
import { query } from "@pricing-engine/postgres";
import { type QuoteBasis, readQuoteBases } from "../adapters/quote-reader.ts";
import { type Decision, isExpired } from "../domain/decision.ts";
import type { Policy } from "../domain/policy.ts";
import { decidePrice } from "./decide-price.ts";
import { deadlineMs } from "./deps.ts";
import { toItemError, unknownProduct } from "./price-errors.ts";
import type { ReadDeps } from "./read-deps.ts";

export type QuoteOrder = (request: QuotesRequest) => Promise<QuotesResponse>;

type Item = QuotesRequest["items"][number];
type Priced = { readonly priceMinor: number; readonly currency: string; readonly decisionId: string };

/**
 * What the lines of an order cost, of one snapshot. A line that names a decision pays its price while that is valid; a decision made for
 * more units than are ordered is refused: prices of larger quantities are not for smaller ones.
 */
export function makeQuoteOrder(deps: ReadDeps): QuoteOrder {
  const { pool, policies, settings, signer } = deps;

  const decided = (item: Item, token: string, nowMs: number): Priced | AppError => {
    const result = signer.verify(token);
    if (!result.ok || result.decision.productId !== item.product_id) return unusable(item, "is none of ours for it");
    const { decision } = result;
    if (isExpired(decision, nowMs)) return unusable(item, `was valid until ${validUntil(decision)}`);
    if (item.quantity < decision.quantity) return unusable(item, `is for ${decision.quantity} units or more`);
    return { priceMinor: decision.priceMinor, currency: decision.currency, decisionId: token };
  };

  return async ({ items, is_prime_member }) => {
    const ids = [...new Set(items.map((item) => item.product_id))];
    const { bases, policy } = await query(pool, deadlineMs, async (on) => {
      const found = await readQuoteBases(on, ids);
      const [any] = found.values();
      const compiled: Policy | undefined = any && (await policies.get(on, any.policyVersion)).policy;
      return { bases: found, policy: compiled };
    });
    const price = (item: Item, basis: QuoteBasis, inForce: Policy): Priced | AppError => {
      if (item.decision_id !== undefined) return decided(item, item.decision_id, basis.nowMs);
      const context = { is_prime_member, quantity: item.quantity };
      const result = decidePrice({ basis, policy: inForce, context }, { settings: settings(), signer });
      // Without a wish for one, a product is sold in its own currency.
      if (!result.ok) throw new AppError("internal", { context: { product: item.product_id } });
      const { quote, response } = result.decided;
      return { priceMinor: quote.finalPriceMinor, currency: quote.currency, decisionId: response.decision_id };
    };
    const results = items.map((item) => {
      const { product_id } = item;
      const basis = bases.get(product_id);
      if (basis === undefined || policy === undefined)
        return { product_id, error: toItemError(unknownProduct(product_id)) };
      const priced = price(item, basis, policy);
      if (priced instanceof AppError) return { product_id, error: toItemError(priced) };
      return {
        product_id,
        name: basis.product.name,
        unit_price: formatMinor(priced.priceMinor, priced.currency),
        currency: priced.currency,
        decision_id: priced.decisionId,
        initial_stock: basis.product.stock ?? null,
      };
    });
    return { results };
  };
}

function unusable(item: Item, why: string): AppError {
  return new AppError("decision_unusable", { detail: `the decision_id of product "${item.product_id}" ${why}` });
}

function validUntil({ validUntilMs }: Decision): string {
  return new Date(validUntilMs).toISOString();
}
