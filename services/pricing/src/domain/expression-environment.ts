import { Environment } from "@marcbachmann/cel-js";
import type { Stage } from "./types.ts";
import { CustomerView, ProductView, SignalsView } from "./views.ts";

/** Names that a rule of the stage may use. */
export const visibleNames = {
  market: ["product", "signals", "now"],
  customer: ["product", "customer", "quantity"],
} as const satisfies Record<Stage, readonly string[]>;

// No list, map or text grows beyond what the expression itself spells out; evaluation is linear in these.
const limits = { maxAstNodes: 256, maxDepth: 24, maxListElements: 64, maxMapEntries: 0, maxCallArguments: 4 };

const base = new Environment({ homogeneousAggregateLiterals: false, limits }).registerType("Product", {
  ctor: ProductView,
  fields: {
    id: "string",
    name: "string",
    base_price: "double",
    cost: "double",
    currency: "string",
    stock: "double",
    attributes: "map<string, dyn>",
  },
});

// size(), getHours() and their like give integers: let them meet doubles.
const arithmetic = {
  "+": (left: number | bigint, right: number | bigint) => Number(left) + Number(right),
  "-": (left: number | bigint, right: number | bigint) => Number(left) - Number(right),
  "*": (left: number | bigint, right: number | bigint) => Number(left) * Number(right),
  "/": (left: number | bigint, right: number | bigint) => Number(left) / Number(right),
  "%": (left: number | bigint, right: number | bigint) => Number(left) % Number(right),
};
for (const [operator, apply] of Object.entries(arithmetic)) {
  base.registerOperator(`int ${operator} double: double`, apply);
  base.registerOperator(`double ${operator} int: double`, apply);
}
base.registerOperator("double % double: double", arithmetic["%"]);
base.registerOperator("int == double: bool", (left: bigint, right: number) => Number(left) === right);

/** What `product`, `signals`, `now`, `customer` and `quantity` are, per stage. Anything else does not compile. */
export const environments: Record<Stage, Environment> = {
  market: base
    .clone()
    .registerType("Signals", {
      ctor: SignalsView,
      fields: {
        demand: "double",
        competitor_price: "double",
        competitor_confidence: "double",
        stock: "double",
        cost: "double",
      },
    })
    .registerVariable("product", "Product")
    .registerVariable("signals", "Signals")
    .registerVariable("now", "google.protobuf.Timestamp"),
  customer: base
    .clone()
    .registerType("Customer", {
      ctor: CustomerView,
      fields: { prime: "bool", location: "string", segment: "string" },
    })
    .registerVariable("product", "Product")
    .registerVariable("customer", "Customer")
    .registerVariable("quantity", "double"),
};

/**
 * Functions and methods that expressions may call. Left out on purpose: `matches` (backtracking), everything that
 * makes lists or longer texts (`map`, `filter`, `split`, `join`, `cel.bind`), bytes, and `getDayOfYear` (the
 * library counts it in the machine's zone).
 */
export const allowedCalls: ReadonlySet<string> = new Set([
  ...["has", "size", "int", "double", "string", "bool", "timestamp", "duration"],
  ...["contains", "startsWith", "endsWith", "lowerAscii", "upperAscii", "trim", "indexOf", "lastIndexOf", "substring"],
  ...["getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek"],
  ...["getHours", "getMinutes", "getSeconds", "getMilliseconds"],
  ...["exists", "all", "exists_one"],
]);

export const comprehensions: ReadonlySet<string> = new Set(["exists", "all", "exists_one"]);
