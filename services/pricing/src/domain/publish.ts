import { compare, equals, fromMinor, minorDigits } from "@pricing-engine/money";
import { applyRules, type RuleEffects } from "./apply-rules.ts";
import { hardFloor, marketBounds } from "./corridor.ts";
import type { Policy } from "./policy.ts";
import { roundPrice } from "./rounding.ts";
import { builtIn, move, startTrail, type Trail } from "./steps.ts";
import type { MarketFacts, MarketPrice, PriceAlert, SignalTtl } from "./types.ts";
import { currentCostMinor, ProductView, SignalsView } from "./views.ts";

export interface PublishMoment {
  readonly nowMs: number;
  readonly signalTtlMs: SignalTtl;
}

/**
 * What the product costs now, for everybody: base price → market rules → corridor → rounding. Pure and total: the same
 * facts, policy and moment give the same price, and no rule makes it throw.
 */
export function publish(facts: MarketFacts, policy: Policy, { nowMs, signalTtlMs }: PublishMoment): MarketPrice {
  const { product, signals } = facts;
  const { currency } = product;
  const unit = 10 ** minorDigits(currency);
  const costMinor = currentCostMinor(product, signals, signalTtlMs, nowMs);
  const trail = startTrail("market", builtIn.basePrice, "Base price", fromMinor(product.basePriceMinor, currency));
  const effects: RuleEffects = { shadow: [], skipped: [] };
  if (policy.market.length > 0) {
    const scope = {
      product: new ProductView(product, costMinor, unit),
      signals: new SignalsView(signals, signalTtlMs, nowMs, unit),
      now: new Date(nowMs),
    };
    applyRules(trail, "market", policy.market, scope, effects);
  }
  const { priceMinor, alert } = settle(trail, facts, policy, costMinor);
  return {
    productId: product.productId,
    currency,
    priceMinor,
    basePriceMinor: product.basePriceMinor,
    costMinor,
    steps: trail.steps,
    shadow: effects.shadow,
    skipped: effects.skipped,
    bindingRule: trail.binding?.rule,
    reason: trail.binding?.reason ?? "Base price",
    alert,
  };
}

/** Corridor and rounding, as the trail's last steps. */
function settle(
  trail: Trail,
  facts: MarketFacts,
  policy: Policy,
  costMinor: number | undefined,
): { priceMinor: number; alert: PriceAlert | undefined } {
  const { currency } = facts.product;
  const floor = hardFloor(policy.corridor, costMinor, currency);
  const { low, high } = marketBounds(policy.corridor, floor, facts, currency);
  const lowMinor = low?.minor ?? 0;
  const highMinor = high?.minor ?? Number.MAX_SAFE_INTEGER;

  if (lowMinor > highMinor) {
    // Nothing satisfies everything: stay where we are, but never below the floor, which wins over everything.
    const lastMinor = facts.last?.currency === currency ? facts.last.priceMinor : undefined;
    const priceMinor = Math.max(lastMinor ?? 0, floor?.minor ?? 0);
    const detail = `at least ${low?.rule} but at most ${high?.rule}: no price satisfies both`;
    move(trail, "market", builtIn.empty, `The corridor is empty (${detail})`, fromMinor(priceMinor, currency));
    return { priceMinor, alert: { code: "corridor_empty", detail } };
  }
  const price = trail.price;
  if (low !== undefined && compare(price, fromMinor(lowMinor, currency)) < 0) {
    move(trail, "market", low.rule, low.reason, fromMinor(lowMinor, currency));
  } else if (high !== undefined && compare(price, fromMinor(highMinor, currency)) > 0) {
    move(trail, "market", high.rule, high.reason, fromMinor(highMinor, currency));
  }
  const priceMinor = roundPrice(trail.price, currency, policy.rounding, lowMinor, highMinor);
  const rounded = fromMinor(priceMinor, currency);
  if (!equals(rounded, trail.price)) move(trail, "market", builtIn.rounding, "Rounded to an allowed price", rounded);
  return { priceMinor, alert: undefined };
}
