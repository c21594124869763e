import { compare, equals, fromMinor, minorDigits } from "@pricing-engine/money";
import { applyRules, type RuleEffects } from "./apply-rules.ts";
import { ceilingOf, hardFloor } from "./corridor.ts";
import { chooseListPrice } from "./list-price.ts";
import type { Policy } from "./policy.ts";
import { roundPrice } from "./rounding.ts";
import { builtIn, move, type Trail } from "./steps.ts";
import type { QuoteRequest, QuoteResult } from "./types.ts";
import { CustomerView, ProductView } from "./views.ts";

/**
 * What this customer pays for one unit: list price or market price → customer rules → hard floors → rounding. Pure and
 * total. In another currency than the product's there is a price only where a list price says so; cost and base price
 * are unknown in it.
 */
export function quote(request: QuoteRequest, policy: Policy): QuoteResult {
  const { product, market, customer, quantity, nowMs } = request;
  const currency = request.currency ?? product.currency;
  const foreign = currency !== market.currency;
  const query = { segment: customer.segment, currency, quantity, nowMs };
  const { chosen, changesAtMs } = chooseListPrice(request.listPrices, query);
  if (foreign && chosen === undefined) return { ok: false, code: "currency_not_sold", currency };

  const startMinor = foreign && chosen !== undefined ? chosen.priceMinor : market.priceMinor;
  const costMinor = foreign ? undefined : market.costMinor;
  const trail: Trail = { steps: [], price: fromMinor(startMinor, currency), binding: undefined };
  if (chosen !== undefined) {
    move(trail, "customer", builtIn.listPrice, "List price", fromMinor(chosen.priceMinor, currency));
    trail.binding = { rule: builtIn.listPrice, reason: "List price" };
  }
  const effects: RuleEffects = { shadow: [], skipped: [] };
  if (policy.customer.length > 0) {
    const view = new ProductView(product, market.costMinor, 10 ** minorDigits(product.currency));
    const scope = { product: view, customer: new CustomerView(customer), quantity };
    applyRules(trail, "customer", policy.customer, scope, effects);
  }
  const finalPriceMinor = settle(trail, policy, costMinor, currency);
  const basePriceMinor = foreign ? startMinor : market.basePriceMinor;
  return {
    ok: true,
    quote: {
      currency,
      startPriceMinor: startMinor,
      finalPriceMinor,
      basePriceMinor,
      discountRate: discountRate(finalPriceMinor, basePriceMinor),
      listPriceId: chosen?.id,
      steps: trail.steps,
      shadow: effects.shadow,
      skipped: effects.skipped,
      bindingRule: trail.binding?.rule,
      changesAtMs,
    },
  };
}

function settle(trail: Trail, policy: Policy, costMinor: number | undefined, currency: string): number {
  const floor = hardFloor(policy.corridor, costMinor, currency);
  if (floor !== undefined && compare(trail.price, fromMinor(floor.minor, currency)) < 0) {
    move(trail, "customer", floor.rule, floor.reason, fromMinor(floor.minor, currency));
  }
  // The ceiling is the market's; here it only keeps rounding from being what crosses it.
  const ceiling = policy.rounding === undefined ? undefined : ceilingOf(policy.corridor, currency);
  const underCeiling = ceiling !== undefined && compare(trail.price, fromMinor(ceiling.minor, currency)) <= 0;
  const highMinor = underCeiling ? ceiling.minor : Number.MAX_SAFE_INTEGER;
  const finalPriceMinor = roundPrice(trail.price, currency, policy.rounding, floor?.minor ?? 0, highMinor);
  const rounded = fromMinor(finalPriceMinor, currency);
  if (!equals(rounded, trail.price)) move(trail, "customer", builtIn.rounding, "Rounded to an allowed price", rounded);
  return finalPriceMinor;
}

/** max(0, 1 − final/base) with 4 decimals; of a base price of zero there is no discount. */
export function discountRate(finalPriceMinor: number, basePriceMinor: number): number {
  if (basePriceMinor <= finalPriceMinor) return 0;
  return Math.round(((basePriceMinor - finalPriceMinor) * 10_000) / basePriceMinor) / 10_000;
}
