import type { CatalogPlan, CatalogZone, ProductImportLine } from "@pricing-engine/contracts";
import { type Digest, productIdsOf } from "./identity.ts";

/** What of a plan its products show. */
export type ProductFacts = Pick<
  CatalogPlan,
  "basePlanId" | "planId" | "title" | "startsAtMs" | "endsAtMs" | "online" | "soldOut"
>;

export type StockChange = { readonly productId: string; readonly stock: number };
export type ProductChanges = {
  readonly writes: readonly ProductImportLine[];
  readonly stocks: readonly StockChange[];
  /** Zones that the plan has no longer: should they come back, pricing must hear of it. */
  readonly gone: readonly CatalogZone[];
};

const maxNameLength = 255;

/** What pricing was last told of a plan. */
export interface Handed {
  /** Undefined: pricing's documents may be others by now, or there are none yet. */
  readonly plan: ProductFacts | undefined;
  /** As their products were made of them, those that are gone last; none: there were no products. */
  readonly zones: readonly CatalogZone[];
}

/**
 * What pricing must hear when a plan changes: the products whose document is another one, and the stock of those whose capacity
 * changed. A zone that is gone has nothing left to sell.
 */
export function diffProducts(
  digest: Digest,
  id: string,
  { source, currency }: { source: string; currency: string },
  before: Handed,
  plan: CatalogPlan,
): ProductChanges {
  const facts = planFacts(source, plan);
  const beforeIds = productIdsOf(digest, id, before.zones);
  const known = new Map(before.zones.map((zone, index) => [beforeIds[index] ?? "", zone]));
  const planChanged = before.plan === undefined || fingerprint(before.plan) !== fingerprint(plan);
  const writes: ProductImportLine[] = [];
  const stocks: StockChange[] = [];
  productIdsOf(digest, id, plan.zones).forEach((productId, index) => {
    const zone = plan.zones[index];
    if (zone === undefined) return;
    const old = known.get(productId);
    known.delete(productId);
    const sameStock = old?.capacity === zone.capacity;
    if (planChanged || !sameStock || old?.priceHundredths !== zone.priceHundredths) {
      writes.push(toProduct(productId, plan, zone, facts, currency));
    }
    if (old !== undefined && !sameStock) stocks.push({ productId, stock: zone.capacity });
  });
  for (const [productId, old] of known) if (old.capacity !== 0) stocks.push({ productId, stock: 0 });
  return { writes, stocks, gone: [...known.values()].map((old) => ({ ...old, capacity: 0 })) };
}

/** Equal when nothing but zones differs in what products are made of. */
function fingerprint(plan: ProductFacts): string {
  return JSON.stringify(planFacts("", plan));
}

function planFacts(source: string, plan: ProductFacts): Record<string, unknown> {
  return {
    source,
    base_plan_id: plan.basePlanId,
    plan_id: plan.planId,
    title: plan.title,
    starts_at: new Date(plan.startsAtMs).toISOString(),
    ends_at: new Date(plan.endsAtMs).toISOString(),
    online: plan.online,
    sold_out: plan.soldOut,
  };
}

function toProduct(
  productId: string,
  plan: CatalogPlan,
  zone: CatalogZone,
  facts: Record<string, unknown>,
  currency: string,
): ProductImportLine {
  const name = zone.name === "" ? plan.title : `${plan.title}, ${zone.name}`;
  return {
    product_id: productId,
    name: name.slice(0, maxNameLength).toWellFormed(),
    base_price: priceText(zone.priceHundredths),
    currency,
    stock: zone.capacity,
    list_prices: [],
    attributes: { ...facts, zone_id: zone.zoneId, zone: zone.name, numbered: zone.numbered },
  };
}

/** Without decimals where there are none: some currencies count in whole units. */
function priceText(hundredths: number): string {
  const cents = hundredths % 100;
  const whole = String((hundredths - cents) / 100);
  return cents === 0 ? whole : `${whole}.${String(cents).padStart(2, "0")}`;
}
