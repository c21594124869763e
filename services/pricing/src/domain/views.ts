import type { Customer, ProductFacts, Signals, SignalTtl } from "./types.ts";

// What expressions see. Numbers are doubles throughout, for CEL's integers and doubles do not mix. Classes, because the
// library then reads fields without copying the object on every evaluation. `undefined` is an absent field.

export class ProductView {
  readonly id: string;
  readonly name: string;
  readonly base_price: number;
  readonly cost: number | undefined;
  readonly currency: string;
  readonly stock: number | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;

  /** `unit` is what one major unit has in minor ones. */
  constructor(product: ProductFacts, costMinor: number | undefined, unit: number) {
    this.id = product.productId;
    this.name = product.name;
    this.base_price = product.basePriceMinor / unit;
    this.cost = costMinor === undefined ? undefined : costMinor / unit;
    this.currency = product.currency;
    this.stock = product.stock;
    this.attributes = product.attributes;
  }
}

export class SignalsView {
  readonly demand: number | undefined;
  readonly competitor_price: number | undefined;
  readonly competitor_confidence: number | undefined;
  readonly stock: number | undefined;
  readonly cost: number | undefined;

  /** Stale signals are absent. */
  constructor(signals: Signals, ttlMs: SignalTtl, nowMs: number, unit: number) {
    const competitor = fresh(signals.competitor_price, ttlMs.competitor_price, nowMs);
    const cost = fresh(signals.cost, ttlMs.cost, nowMs);
    this.demand = fresh(signals.demand, ttlMs.demand, nowMs)?.demand;
    this.competitor_price = competitor === undefined ? undefined : competitor.priceMinor / unit;
    this.competitor_confidence = competitor?.confidence;
    this.stock = fresh(signals.stock, ttlMs.stock, nowMs)?.stock;
    this.cost = cost === undefined ? undefined : cost.costMinor / unit;
  }
}

export class CustomerView {
  readonly prime: boolean;
  readonly location: string;
  readonly segment: string;

  constructor(customer: Customer) {
    this.prime = customer.prime;
    this.location = customer.location;
    this.segment = customer.segment;
  }
}

/** The signal, unless it is older than its time to live; 0 means that it never expires. */
export function fresh<T extends { readonly observedAtMs: number }>(
  signal: T | undefined,
  ttlMs: number,
  nowMs: number,
): T | undefined {
  if (signal === undefined) return undefined;
  return ttlMs === 0 || nowMs - signal.observedAtMs <= ttlMs ? signal : undefined;
}

/** *The* cost: the later of what the product states and what a fresh signal says; at the same moment, the signal. */
export function currentCostMinor(
  product: ProductFacts,
  signals: Signals,
  ttlMs: SignalTtl,
  nowMs: number,
): number | undefined {
  const signal = fresh(signals.cost, ttlMs.cost, nowMs);
  if (signal === undefined) return product.cost?.costMinor;
  if (product.cost === undefined || signal.observedAtMs >= product.cost.statedAtMs) return signal.costMinor;
  return product.cost.costMinor;
}

const maxAheadMs = 60_000;

/** An observation from further ahead than clocks may differ is refused where it enters. */
export function isTooFarAhead(observedAtMs: number, nowMs: number): boolean {
  return observedAtMs - nowMs > maxAheadMs;
}
