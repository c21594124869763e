import fc from "fast-check";
import { expect, it } from "vitest";
import { compilePolicy } from "./compile-policy.ts";
import { facts, nowMs, quoteRequest, signalTtlMs } from "./fixtures.test-support.ts";
import { publish } from "./publish.ts";
import { quote } from "./quote.ts";

const attributes = { zone: 1, name: "a", list: [3, "b", null], deep: { deep: [1] } };
const costMinor = 500;

/** Numbers and truth values of every kind, most of them of the right type; some that only turn out wrong when evaluated. */
const { truth, number } = fc.letrec<{ truth: string; number: string }>((tie) => ({
  number: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom("1.0", "0.0", "-1.0", "1e308", "signals.demand", "signals.stock", "quantity", "product.cost"),
    fc.constantFrom(
      "product.attributes.zone",
      "product.attributes.list[1]",
      "double(product.name)",
      "1.0 * size('ab')",
    ),
    fc
      .tuple(tie("number"), fc.constantFrom("+", "-", "*", "/", "%"), tie("number"))
      .map(([left, operator, right]) => `(${left} ${operator} ${right})`),
    fc.tuple(tie("truth"), tie("number"), tie("number")).map(([when, one, other]) => `(${when} ? ${one} : ${other})`),
  ),
  truth: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom("customer.prime", "has(signals.demand)", "has(product.attributes.nope)", "now.getHours() > 1"),
    fc.constantFrom("product.attributes.list.exists(x, x > 1.0)", "'a' in product.attributes.deep", "true"),
    fc
      .tuple(tie("number"), fc.constantFrom("<", "==", ">="), tie("number"))
      .map(([left, operator, right]) => `(${left} ${operator} ${right})`),
    fc
      .tuple(tie("truth"), fc.constantFrom("&&", "||"), tie("truth"))
      .map(([left, operator, right]) => `(${left} ${operator} ${right})`),
  ),
}));

it("whatever compiles prices every product without throwing, never below its cost; what does not names its rule", () => {
  const kind = fc.constantFrom("multiply", "add", "set");
  const stage = fc.constantFrom("market", "customer");
  fc.assert(
    fc.property(stage, truth, kind, number, (side, when, operation, operand) => {
      const result = compilePolicy({ [side]: [{ name: "it", when, adjust: { [operation]: operand } }] });
      if (!result.ok) {
        for (const error of result.errors) expect(error).toMatchObject({ stage: side, rule: "it", index: 0 });
        return;
      }
      for (const held of [{}, attributes]) {
        const product = { attributes: held, cost: { costMinor, statedAtMs: 0 } };
        const signals = { demand: { demand: 2, observedAtMs: nowMs }, stock: { stock: 0, observedAtMs: nowMs } };
        const given = facts({ product, signals });
        expect(publish(given, result.policy, { nowMs, signalTtlMs }).priceMinor).toBeGreaterThanOrEqual(costMinor);
        const market = { currency: "EUR", priceMinor: 2000, basePriceMinor: 2000, costMinor };
        const made = quote(quoteRequest({ product: given.product, market }), result.policy);
        expect(made.ok && made.quote.finalPriceMinor >= costMinor).toBe(true);
      }
    }),
    { numRuns: 1500 },
  );
});
