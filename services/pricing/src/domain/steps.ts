import { type Decimal, equals, minorDigits, toText } from "@pricing-engine/money";
import type { Stage, Step, StepRecord } from "./types.ts";

/** Steps that no rule makes; no rule may have such a name. */
export const builtIn = {
  basePrice: "base_price",
  listPrice: "list_price",
  margin: "corridor.min_margin",
  cost: "cost",
  floor: "corridor.floor",
  legalMinimum: "corridor.legal_minimum",
  ceiling: "corridor.ceiling",
  maxStep: "corridor.max_step",
  maxDailyDrift: "corridor.max_daily_drift",
  empty: "corridor.empty",
  rounding: "rounding",
} as const;

export const builtInRules: ReadonlySet<string> = new Set(Object.values(builtIn));

/** A price on its way: every change is a step, so the explanation cannot disagree with the price. */
export interface Trail {
  readonly steps: Step[];
  price: Decimal;
  /** The last rule or bound that changed the price; rounding is none. */
  binding: { readonly rule: string; readonly reason: string } | undefined;
}

/** Starts a trail with a step that changes nothing, so that an explanation always says where the price began. */
export function startTrail(stage: Stage, rule: string, reason: string, price: Decimal): Trail {
  return { steps: [{ stage, rule, reason, before: price, after: price }], price, binding: undefined };
}

/** Moves the price. A rule that applied is a step even when the price stays; a bound or a rounding that held is not. */
export function move(trail: Trail, stage: Stage, rule: string, reason: string, after: Decimal): void {
  trail.steps.push({ stage, rule, reason, before: trail.price, after });
  if (rule !== builtIn.rounding && !equals(after, trail.price)) trail.binding = { rule, reason };
  trail.price = after;
}

/** Where steps lead from `start`; undefined when one does not begin where the last one ended. */
export function foldSteps(start: Decimal, steps: readonly Step[]): Decimal | undefined {
  let price = start;
  for (const step of steps) {
    if (!equals(step.before, price)) return undefined;
    price = step.after;
  }
  return price;
}

/** Steps as they are stored and shown, at least in the currency's digits. */
export function recordSteps(steps: readonly Step[], currency: string): StepRecord[] {
  const digits = minorDigits(currency);
  return steps.map((step) => ({
    stage: step.stage,
    rule: step.rule,
    reason: step.reason,
    before: padded(step.before, digits),
    after: padded(step.after, digits),
  }));
}

function padded(value: Decimal, digits: number): string {
  const text = toText(value);
  if (digits === 0) return text;
  const [whole = "0", fraction = ""] = text.split(".");
  return `${whole}.${fraction.padEnd(digits, "0")}`;
}
