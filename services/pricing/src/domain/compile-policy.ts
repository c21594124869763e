import { compare, type Decimal, decimal, findDecimal } from "@pricing-engine/money";
import { compileCondition, compileNumber, type Expression } from "./expression.ts";
import { toFactor } from "./factor.ts";
import type { Corridor, Policy, Rounding, Rule } from "./policy.ts";
import { builtInRules } from "./steps.ts";
import type { PolicyError, PolicySource, RuleSource, Stage } from "./types.ts";

export type PolicyResult =
  | { readonly ok: true; readonly policy: Policy }
  | { readonly ok: false; readonly errors: readonly PolicyError[] };

const maxRules = 200;
/** Of margin, step and drift: a hundredfold. */
const maxRatio = decimal(100);

/**
 * Compiles a policy, or says everything that is wrong with it. Rules are applied in the order of their priority, lower
 * first, then of their names; the order in which they are written means nothing.
 */
export function compilePolicy(source: PolicySource): PolicyResult {
  const errors: PolicyError[] = [];
  const policy: Policy = {
    market: compileRules("market", source.market ?? [], errors),
    customer: compileRules("customer", source.customer ?? [], errors),
    corridor: compileCorridor(source.corridor ?? {}, errors),
    rounding: compileRounding(source.rounding, errors),
  };
  return errors.length === 0 ? { ok: true, policy } : { ok: false, errors };
}

function compileRules(stage: Stage, sources: readonly RuleSource[], errors: PolicyError[]): readonly Rule[] {
  if (sources.length > maxRules) {
    const message = `has ${sources.length} rules, more than ${maxRules}`;
    errors.push({ stage, rule: "", index: undefined, field: stage, position: undefined, message });
    return [];
  }
  const names = new Set<string>();
  const rules: { rule: Rule; priority: number }[] = [];
  for (const [index, source] of sources.entries()) {
    const fail = (field: string, message: string, position?: number): void => {
      errors.push({ stage, rule: source.name, index, field, position, message });
    };
    if (names.has(source.name)) fail("name", `another ${stage} rule has the name "${source.name}"`);
    if (builtInRules.has(source.name)) fail("name", `"${source.name}" is the name of a built-in step`);
    names.add(source.name);
    const rule = compileRule(stage, source, fail);
    if (rule !== undefined) rules.push({ rule, priority: source.priority ?? 0 });
  }
  return rules
    .toSorted((a, b) => a.priority - b.priority || compareText(a.rule.name, b.rule.name))
    .map(({ rule }) => rule);
}

type Fail = (field: string, message: string, position?: number) => void;

function compileRule(stage: Stage, source: RuleSource, fail: Fail): Rule | undefined {
  const when = source.when === undefined ? undefined : compileCondition(stage, source.when);
  if (when !== undefined && !when.ok) fail("when", when.message, when.position);

  const adjustments = (["multiply", "add", "set"] as const).flatMap((operation) => {
    const text = source.adjust[operation];
    return text === undefined ? [] : [{ operation, text }];
  });
  const [adjustment] = adjustments;
  if (adjustment === undefined || adjustments.length > 1) {
    fail("adjust", "must hold exactly one of multiply, add, set");
    return undefined;
  }
  const field = `adjust.${adjustment.operation}`;
  const number = compileNumber(stage, adjustment.text);
  if (!number.ok) {
    fail(field, number.message, number.position);
    return undefined;
  }
  const operand = number.expression.constant ? constantOperand(number.expression) : number.expression;
  if (typeof operand === "string") {
    fail(field, operand, 0);
    return undefined;
  }
  if (adjustment.operation !== "add" && !("evaluate" in operand) && compare(operand, decimal(0)) < 0) {
    fail(field, `is negative`, 0);
    return undefined;
  }
  if (when !== undefined && !when.ok) return undefined;
  return {
    name: source.name,
    reason: source.reason === undefined || source.reason === "" ? source.name : source.reason,
    shadow: source.mode === "shadow",
    when: when?.expression,
    operation: adjustment.operation,
    operand,
  };
}

/** The value of an expression that names nothing, or what is wrong with it. */
function constantOperand(expression: Expression<number>): Decimal | string {
  const value = expression.evaluate(undefined);
  return value.ok ? toFactor(value.value) : value.reason;
}

function compileCorridor(source: NonNullable<PolicySource["corridor"]>, errors: PolicyError[]): Corridor {
  const fail = (rule: string, message: string): void => {
    errors.push({ stage: "corridor", rule, index: undefined, field: `corridor.${rule}`, position: undefined, message });
  };
  const read = (field: keyof typeof source): Decimal | undefined => {
    const text = source[field];
    return text === undefined ? undefined : readDecimal(text, (message) => fail(field, message));
  };
  const corridor: Corridor = {
    minMargin: read("minMargin"),
    floor: read("floor"),
    ceiling: read("ceiling"),
    legalMinimum: read("legalMinimum"),
    maxStep: read("maxStep"),
    maxDailyDrift: read("maxDailyDrift"),
  };
  if (corridor.ceiling !== undefined) {
    if (compare(corridor.ceiling, decimal(0)) === 0) fail("ceiling", "leaves no price above zero");
    for (const field of ["floor", "legalMinimum"] as const) {
      const bound = corridor[field];
      if (bound !== undefined && compare(bound, corridor.ceiling) > 0) fail(field, "is above the ceiling");
    }
  }
  for (const field of ["minMargin", "maxStep", "maxDailyDrift"] as const) {
    const ratio = corridor[field];
    if (ratio !== undefined && compare(ratio, maxRatio) > 0)
      fail(field, "is a share and not a percentage: at most 100");
  }
  for (const field of ["maxStep", "maxDailyDrift"] as const) {
    const bound = corridor[field];
    if (bound !== undefined && compare(bound, decimal(0)) === 0) fail(field, "of zero would never let a price move");
  }
  return corridor;
}

function compileRounding(source: PolicySource["rounding"], errors: PolicyError[]): Rounding | undefined {
  if (source === undefined) return undefined;
  const fail = (rule: string, message: string): void => {
    errors.push({ stage: "rounding", rule, index: undefined, field: `rounding.${rule}`, position: undefined, message });
  };
  const increment = readDecimal(source.increment, (message) => fail("increment", message));
  const ending = readDecimal(source.ending ?? "0", (message) => fail("ending", message));
  if (increment === undefined || ending === undefined) return undefined;
  if (compare(increment, decimal(0)) === 0) fail("increment", "must be above zero");
  else if (compare(ending, increment) >= 0) fail("ending", "must be below the increment");
  return { increment, ending };
}

function readDecimal(text: string, fail: (message: string) => void): Decimal | undefined {
  const value = findDecimal(text);
  if (value !== undefined && compare(value, decimal(0)) >= 0) return value;
  fail(`"${text.slice(0, 40)}" is not a decimal of at least 0`);
  return undefined;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
