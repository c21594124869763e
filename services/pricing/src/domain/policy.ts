import type { Decimal } from "@pricing-engine/money";
import type { Expression } from "./expression.ts";

/** A compiled rule, in the order in which it is applied. */
export interface Rule {
  readonly name: string;
  readonly reason: string;
  readonly shadow: boolean;
  /** undefined: always. */
  readonly when: Expression<boolean> | undefined;
  readonly operation: "multiply" | "add" | "set";
  readonly operand: Expression<number> | Decimal;
}

/** Ratios are plain (0.2 is 20 %), floor, ceiling and legalMinimum in major units of the price's currency. */
export interface Corridor {
  readonly minMargin: Decimal | undefined;
  readonly floor: Decimal | undefined;
  readonly ceiling: Decimal | undefined;
  readonly legalMinimum: Decimal | undefined;
  readonly maxStep: Decimal | undefined;
  readonly maxDailyDrift: Decimal | undefined;
}

export interface Rounding {
  readonly increment: Decimal;
  readonly ending: Decimal;
}

/** A policy that compiled; made by `compilePolicy` alone. */
export interface Policy {
  readonly market: readonly Rule[];
  readonly customer: readonly Rule[];
  readonly corridor: Corridor;
  readonly rounding: Rounding | undefined;
}

/** Without a policy a price is the base price, never below cost. */
export const noPolicy: Policy = {
  market: [],
  customer: [],
  corridor: {
    minMargin: undefined,
    floor: undefined,
    ceiling: undefined,
    legalMinimum: undefined,
    maxStep: undefined,
    maxDailyDrift: undefined,
  },
  rounding: undefined,
};
