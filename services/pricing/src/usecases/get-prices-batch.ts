import type { PriceBatchRequest, PriceBatchResponse } from "@pricing-engine/contracts";
import { query } from "@pricing-engine/postgres";
import { readQuoteBases } from "../adapters/quote-reader.ts";
import type { Policy } from "../domain/policy.ts";
import { decidePrice } from "./decide-price.ts";
import { deadlineMs } from "./deps.ts";
import { markShown } from "./mark-shown.ts";
import { currencyNotSold, toItemError, unknownProduct } from "./price-errors.ts";
import type { ReadDeps } from "./read-deps.ts";

export type GetPricesBatch = (request: PriceBatchRequest) => Promise<PriceBatchResponse>;

/** Prices of all items from one snapshot, in their order; an item that fails does not fail the others. */
export function makeGetPricesBatch(deps: ReadDeps): GetPricesBatch {
  const { pool, policies, settings, signer } = deps;
  return async ({ items }) => {
    const ids = [...new Set(items.map((item) => item.product_id))];
    const { bases, policy } = await query(pool, deadlineMs, async (on) => {
      const found = await readQuoteBases(on, ids);
      const [any] = found.values();
      const compiled: Policy | undefined = any && (await policies.get(on, any.policyVersion)).policy;
      return { bases: found, policy: compiled };
    });
    await markShown(deps, [...bases.values()]);
    const reading = { settings: settings(), signer };
    const results = items.map(({ product_id, ...context }) => {
      const basis = bases.get(product_id);
      if (basis === undefined || policy === undefined)
        return { product_id, error: toItemError(unknownProduct(product_id)) };
      const result = decidePrice({ basis, policy, context }, reading);
      if (!result.ok) return { product_id, error: toItemError(currencyNotSold(product_id, result.currency)) };
      return { ...result.decided.response, source: "database" as const };
    });
    return { results };
  };
}
