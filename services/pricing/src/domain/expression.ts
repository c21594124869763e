import { TypeError as CelTypeError, EvaluationError, ParseError } from "@marcbachmann/cel-js";
import { type AstSummary, ExpressionProblem, prepareAst } from "./expression-ast.ts";
import { environments, visibleNames } from "./expression-environment.ts";
import type { Stage } from "./types.ts";
import type { CustomerView, ProductView, SignalsView } from "./views.ts";

/** What an expression of either stage is evaluated over. */
export type Scope =
  | { readonly product: ProductView; readonly signals: SignalsView; readonly now: Date }
  | { readonly product: ProductView; readonly customer: CustomerView; readonly quantity: number };

/** Either the value or why there is none: evaluation never throws. */
export type Evaluation<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

export interface Expression<T> {
  readonly text: string;
  /** Whether it names nothing that varies. */
  readonly constant: boolean;
  /** Of a constant expression also without a scope. */
  evaluate(scope: Scope | undefined): Evaluation<T>;
}

export type ExpressionResult<T> =
  | { readonly ok: true; readonly expression: Expression<T> }
  | { readonly ok: false; readonly position: number | undefined; readonly message: string };

const maxLength = 2000;
/** Elements that a comprehension may walk over, all lists of the product's attributes together. */
const maxElements = 1000;
/** Greatest absolute value of a number that a rule may give. */
const maxNumber = 1e9;

/** Compiles a condition. Whatever is wrong with it, and can be known beforehand, is answered here. */
export function compileCondition(stage: Stage, text: string): ExpressionResult<boolean> {
  return compile(stage, text, ["bool", "dyn"], (value) =>
    typeof value === "boolean" ? { ok: true, value } : { ok: false, reason: "the condition is neither true nor false" },
  );
}

/** Compiles the operand of an adjustment: a finite number. */
export function compileNumber(stage: Stage, text: string): ExpressionResult<number> {
  return compile(stage, text, ["double", "int", "uint", "dyn"], (value) => {
    const number = typeof value === "bigint" ? Number(value) : value;
    if (typeof number !== "number") return { ok: false, reason: "the adjustment is not a number" };
    if (!Number.isFinite(number)) return { ok: false, reason: "the adjustment is not a finite number" };
    if (Math.abs(number) > maxNumber) return { ok: false, reason: "the adjustment is out of range" };
    return { ok: true, value: number };
  });
}

function compile<T>(
  stage: Stage,
  text: string,
  types: readonly string[],
  accept: (value: unknown) => Evaluation<T>,
): ExpressionResult<T> {
  if (text.length > maxLength) {
    return { ok: false, position: maxLength, message: `is longer than ${maxLength} characters` };
  }
  try {
    const run = environments[stage].parse(text);
    const summary = prepareAst(run.ast);
    const check = run.check();
    if (!check.valid) return refusal(stage, check.error);
    if (!types.includes(check.type ?? "dyn")) {
      return {
        ok: false,
        position: 0,
        message: `gives ${check.type}, not ${types[0] === "bool" ? "a bool" : "a number"}`,
      };
    }
    const expression = { text, constant: summary.constant, evaluate: evaluator(run, summary, accept) };
    return { ok: true, expression };
  } catch (error) {
    return refusal(stage, error);
  }
}

function evaluator<T>(
  run: (scope: Scope | undefined) => unknown,
  { signals, facts, walksLists }: AstSummary,
  accept: (value: unknown) => Evaluation<T>,
): (scope: Scope | undefined) => Evaluation<T> {
  const missing = (scope: Scope): string | undefined => {
    // Asked first, because an absent field is common and an exception is dear.
    if ("signals" in scope) {
      for (const name of signals) if (scope.signals[name] === undefined) return `signal ${name} is absent or stale`;
    }
    for (const name of facts) if (scope.product[name] === undefined) return `the product has no ${name}`;
    if (walksLists && elements(scope.product.attributes) > maxElements) {
      return `the product's attributes hold more than ${maxElements} elements`;
    }
    return undefined;
  };
  return (scope) => {
    const reason = scope === undefined ? undefined : missing(scope);
    if (reason !== undefined) return { ok: false, reason };
    try {
      return accept(run(scope));
    } catch (error) {
      return { ok: false, reason: describe(error) };
    }
  };
}

const elementsByAttributes = new WeakMap<object, number>();

function elements(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  const known = elementsByAttributes.get(value);
  if (known !== undefined) return known;
  let count = 1;
  for (const inner of Object.values(value)) count += elements(inner);
  elementsByAttributes.set(value, count);
  return count;
}

function refusal(stage: Stage, error: unknown): { ok: false; position: number | undefined; message: string } {
  if (error instanceof ExpressionProblem) return { ok: false, position: error.position, message: error.message };
  if (!(error instanceof ParseError || error instanceof CelTypeError || error instanceof EvaluationError)) throw error;
  const position = error.range?.start;
  if (error.code !== "unknown_variable") return { ok: false, position, message: error.summary };
  const name = error.summary.replace(/^Unknown variable: /, "");
  const seen = visibleNames[stage].join(", ");
  return { ok: false, position, message: `"${name}" is not visible to ${stage} rules: they see ${seen}` };
}

function describe(error: unknown): string {
  if (error instanceof EvaluationError || error instanceof CelTypeError) return error.summary;
  return error instanceof RangeError ? error.message : "the expression cannot be evaluated";
}
