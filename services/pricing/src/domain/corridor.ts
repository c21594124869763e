import { add, compare, type Decimal, decimal, multiply, roundTo, subtract, toMinor } from "@pricing-engine/money";
import type { Corridor } from "./policy.ts";
import { builtIn } from "./steps.ts";
import type { MarketFacts } from "./types.ts";

/** A limit in whole minor units, rounded to the side that keeps it: lower limits up, upper limits down. */
export interface Bound {
  readonly minor: number;
  readonly rule: string;
  readonly reason: string;
}

/** Where a price may be. `low` is at least the floor; the corridor is empty when `low` is above `high`. */
export interface Bounds {
  readonly floor: Bound | undefined;
  readonly low: Bound | undefined;
  readonly high: Bound | undefined;
}

const one = decimal(1);
const zero = decimal(0);

/** What of a corridor depends on the currency alone; kept, because it is asked for with every price. */
interface Absolutes {
  readonly floor: Bound | undefined;
  readonly legalMinimum: Bound | undefined;
  readonly ceiling: Bound | undefined;
}

const absolutesByCorridor = new WeakMap<Corridor, Map<string, Absolutes>>();

function absolutesOf(corridor: Corridor, currency: string): Absolutes {
  let byCurrency = absolutesByCorridor.get(corridor);
  if (byCurrency === undefined) {
    byCurrency = new Map();
    absolutesByCorridor.set(corridor, byCurrency);
  }
  let absolutes = byCurrency.get(currency);
  if (absolutes === undefined) {
    const bound = (value: Decimal | undefined, rounding: "up" | "down", rule: string, reason: string) =>
      value === undefined ? undefined : { minor: toMinor(value, currency, rounding), rule, reason };
    absolutes = {
      floor: bound(corridor.floor, "up", builtIn.floor, "Never below the floor"),
      legalMinimum: bound(corridor.legalMinimum, "up", builtIn.legalMinimum, "Never below the legal minimum"),
      ceiling: bound(corridor.ceiling, "down", builtIn.ceiling, "Never above the ceiling"),
    };
    byCurrency.set(currency, absolutes);
  }
  return absolutes;
}

/** The hard floor: the highest of cost × (1 + minMargin), `floor` and the legal minimum. It wins over everything. */
export function hardFloor(corridor: Corridor, costMinor: number | undefined, currency: string): Bound | undefined {
  const { floor, legalMinimum } = absolutesOf(corridor, currency);
  return higher(higher(costFloor(corridor, costMinor), floor), legalMinimum);
}

function costFloor({ minMargin }: Corridor, costMinor: number | undefined): Bound | undefined {
  if (costMinor === undefined) return undefined;
  if (minMargin === undefined) return { minor: costMinor, rule: builtIn.cost, reason: "Never below cost" };
  const minor = share(costMinor, add(one, minMargin), "up");
  return { minor, rule: builtIn.margin, reason: "Never below cost plus the least margin" };
}

/** The policy's ceiling alone. */
export function ceilingOf(corridor: Corridor, currency: string): Bound | undefined {
  return absolutesOf(corridor, currency).ceiling;
}

/**
 * The whole corridor of a market price. A step or a drift never keeps a price below the floor: where cost has jumped
 * above what they allow, the floor is what they allow.
 */
export function marketBounds(
  corridor: Corridor,
  floor: Bound | undefined,
  facts: Pick<MarketFacts, "last" | "dayAgo">,
  currency: string,
): Bounds {
  let low = floor;
  let high = ceilingOf(corridor, currency);
  const around = (ratio: Decimal | undefined, reference: MarketFacts["last"], rule: string, reason: string): void => {
    if (ratio === undefined || reference === undefined || reference.currency !== currency) return;
    const least = compare(ratio, one) > 0 ? zero : subtract(one, ratio);
    low = higher(low, { minor: share(reference.priceMinor, least, "up"), rule, reason });
    const most = share(reference.priceMinor, add(one, ratio), "down");
    high = lower(high, { minor: Math.max(most, floor?.minor ?? 0), rule, reason });
  };
  around(corridor.maxStep, facts.last, builtIn.maxStep, "Never further from the last price than one step");
  around(
    corridor.maxDailyDrift,
    facts.dayAgo,
    builtIn.maxDailyDrift,
    "Never further from yesterday's price than a day's drift",
  );
  return { floor, low, high };
}

/** A share of an amount, in whole minor units; a limit beyond what can be counted is as good as the greatest that can. */
function share(minor: number, ratio: Decimal, rounding: "up" | "down"): number {
  const exact = Number(roundTo(multiply(decimal(minor), ratio), 0, rounding).coefficient);
  return Math.min(exact, Number.MAX_SAFE_INTEGER);
}

/** The first of two equal ones: the harder bound is named first. */
function higher(a: Bound | undefined, b: Bound | undefined): Bound | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.minor > a.minor ? b : a;
}

function lower(a: Bound | undefined, b: Bound | undefined): Bound | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.minor < a.minor ? b : a;
}
