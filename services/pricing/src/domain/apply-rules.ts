import { assertNever } from "@pricing-engine/chassis/errors";
import { add, compare, type Decimal, decimal, multiply } from "@pricing-engine/money";
import type { Scope } from "./expression.ts";
import { toFactor } from "./factor.ts";
import type { Rule } from "./policy.ts";
import { move, type Trail } from "./steps.ts";
import type { SkippedRule, Stage, Step } from "./types.ts";

const zero = decimal(0);
/** Far above any price, far below where exact minor units end. */
const maxPrice = decimal(1e12);

/** What rules leave behind besides the trail. */
export interface RuleEffects {
  readonly shadow: Step[];
  readonly skipped: SkippedRule[];
}

/** Applies the rules in their order. One that cannot be decided is skipped with its reason; nothing throws. */
export function applyRules(
  trail: Trail,
  stage: Stage,
  rules: readonly Rule[],
  scope: Scope,
  effects: RuleEffects,
): void {
  for (const rule of rules) {
    const outcome = decide(rule, trail.price, scope);
    switch (outcome.kind) {
      case "idle":
        break;
      case "skipped":
        effects.skipped.push({ stage, rule: rule.name, reason: outcome.reason });
        break;
      case "applied":
        if (rule.shadow) {
          effects.shadow.push({
            stage,
            rule: rule.name,
            reason: rule.reason,
            before: trail.price,
            after: outcome.after,
          });
        } else {
          move(trail, stage, rule.name, rule.reason, outcome.after);
        }
        break;
      default:
        assertNever(outcome);
    }
  }
}

type Outcome =
  | { readonly kind: "idle" }
  | { readonly kind: "skipped"; readonly reason: string }
  | { readonly kind: "applied"; readonly after: Decimal };

const idle: Outcome = { kind: "idle" };

function decide(rule: Rule, price: Decimal, scope: Scope): Outcome {
  if (rule.when !== undefined) {
    const when = rule.when.evaluate(scope);
    if (!when.ok) return { kind: "skipped", reason: when.reason };
    if (!when.value) return idle;
  }
  let operand: Decimal;
  if ("evaluate" in rule.operand) {
    const number = rule.operand.evaluate(scope);
    if (!number.ok) return { kind: "skipped", reason: number.reason };
    if (number.value < 0 && rule.operation !== "add") return { kind: "skipped", reason: "the adjustment is negative" };
    operand = toFactor(number.value);
  } else {
    operand = rule.operand;
  }
  const after = adjust(rule.operation, price, operand);
  if (compare(after, zero) < 0) return { kind: "skipped", reason: "the price would be negative" };
  if (compare(after, maxPrice) > 0) return { kind: "skipped", reason: "the price would be out of range" };
  return { kind: "applied", after };
}

function adjust(operation: Rule["operation"], price: Decimal, operand: Decimal): Decimal {
  switch (operation) {
    case "multiply":
      return multiply(price, operand);
    case "add":
      return add(price, operand);
    case "set":
      return operand;
    default:
      return assertNever(operation);
  }
}
