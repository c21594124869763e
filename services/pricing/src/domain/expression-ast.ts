import type { ASTNode } from "@marcbachmann/cel-js";
import { allowedCalls, comprehensions } from "./expression-environment.ts";
import type { SignalsView } from "./views.ts";

/** What is wrong with an expression that is correct CEL all the same. */
export class ExpressionProblem extends Error {
  readonly position: number;

  constructor(position: number, message: string) {
    super(message);
    this.position = position;
  }
}

/** What an expression depends on. */
export interface AstSummary {
  readonly signals: readonly (keyof SignalsView)[];
  /** Facts of the product that may be absent. */
  readonly facts: readonly ("cost" | "stock")[];
  readonly walksLists: boolean;
  readonly constant: boolean;
}

interface Walk {
  readonly signals: Set<keyof SignalsView>;
  readonly facts: Set<"cost" | "stock">;
  walksLists: boolean;
  constant: boolean;
}

/**
 * Walks a freshly parsed expression once, before it is checked: refuses calls that are not allowed, collects what it
 * depends on, and turns integer literals into doubles in place, so that `quantity % 2 == 0`, `stock in [1, 2]` and
 * `1 / 2` mean what they say. Indexes and arguments of calls stay integers: there CEL wants them.
 */
export function prepareAst(ast: ASTNode): AstSummary {
  const walk: Walk = { signals: new Set(), facts: new Set(), walksLists: false, constant: true };
  visit(ast, walk, { inComprehension: false });
  return { signals: [...walk.signals], facts: [...walk.facts], walksLists: walk.walksLists, constant: walk.constant };
}

function visit(node: ASTNode, walk: Walk, within: { inComprehension: boolean }): void {
  switch (node.op) {
    case "value":
      toDouble(node);
      return;
    case "id":
      visitName(node, walk);
      return;
    case ".":
    case ".?":
      visitField(node, node.args[0], node.args[1], walk, within);
      return;
    case "[]":
    case "[?]": {
      const [receiver, index] = node.args;
      if (index.op === "value") {
        if (typeof index.args === "string") visitField(node, receiver, index.args, walk, within);
        else visit(receiver, walk, within);
        return;
      }
      visit(receiver, walk, within);
      visit(index, walk, within);
      return;
    }
    case "call":
      visitCall(node, node.args[0], undefined, node.args[1], walk, within);
      return;
    case "rcall":
      visitCall(node, node.args[0], node.args[1], node.args[2], walk, within);
      return;
    case "map":
      throw new ExpressionProblem(node.start, "maps cannot be written in a rule");
    case "!_":
    case "-_":
      visit(node.args, walk, within);
      return;
    case "in":
      if (node.args[1].op !== "list") walk.walksLists = true;
      for (const inner of node.args) visit(inner, walk, within);
      return;
    default:
      for (const inner of node.args) visit(inner, walk, within);
  }
}

function toDouble(node: ASTNode): void {
  if (node.op !== "value" || typeof node.args !== "bigint") return;
  // The library's nodes are plain objects; only its types say readonly.
  (node as { args: unknown }).args = Number(node.args);
}

function visitName(node: ASTNode & { op: "id" }, walk: Walk): void {
  walk.constant = false;
  if (node.args === "signals") throw new ExpressionProblem(node.start, "signals are read by name, as signals.demand");
  if (node.args === "cel" || node.args === "google") {
    throw new ExpressionProblem(node.start, `"${node.args}" cannot be used in a rule`);
  }
}

function visitField(
  node: ASTNode,
  receiver: ASTNode,
  field: string,
  walk: Walk,
  within: { inComprehension: boolean },
): void {
  if (receiver.op !== "id" || (receiver.args !== "signals" && receiver.args !== "product")) {
    visit(receiver, walk, within);
    return;
  }
  walk.constant = false;
  if (receiver.args === "signals") {
    if (!isSignal(field)) throw new ExpressionProblem(node.pos, `there is no signal "${field}"`);
    walk.signals.add(field);
  } else if (isOptionalFact(field)) {
    walk.facts.add(field);
  }
}

function visitCall(
  node: ASTNode,
  name: string,
  receiver: ASTNode | undefined,
  args: readonly ASTNode[],
  walk: Walk,
  within: { inComprehension: boolean },
): void {
  if (!allowedCalls.has(name)) throw new ExpressionProblem(node.start, `"${name}" cannot be used in a rule`);
  if (name === "has") {
    // It asks for absence, so what it names may be absent.
    walk.constant = false;
    return;
  }
  const isComprehension = receiver !== undefined && comprehensions.has(name);
  if (isComprehension && within.inComprehension) {
    throw new ExpressionProblem(node.start, `"${name}" inside another comprehension is too costly`);
  }
  if (isComprehension) walk.walksLists = true;
  if (receiver !== undefined) visit(receiver, walk, within);
  const inner = isComprehension ? { inComprehension: true } : within;
  for (const arg of args) if (isComprehension || arg.op !== "value") visit(arg, walk, inner);
}

const signalFields: ReadonlySet<string> = new Set<keyof SignalsView>([
  "demand",
  "competitor_price",
  "competitor_confidence",
  "stock",
  "cost",
]);

function isSignal(field: string): field is keyof SignalsView {
  return signalFields.has(field);
}

function isOptionalFact(field: string): field is "cost" | "stock" {
  return field === "cost" || field === "stock";
}
