import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compilePolicy } from "./compile-policy.ts";
import { facts, nowMs, policyOf, quoteRequest, signalTtlMs } from "./fixtures.test-support.ts";
import { publish } from "./publish.ts";
import { quote } from "./quote.ts";
import type { PolicyError, PolicySource, RuleSource, Stage } from "./types.ts";

function errorsOf(source: PolicySource): readonly PolicyError[] {
  const result = compilePolicy(source);
  return result.ok ? [] : result.errors;
}

function withRule(stage: Stage, rule: Partial<RuleSource>): PolicySource {
  return {
    [stage]: [
      { name: "fine", adjust: { multiply: "1" } },
      { name: "bad", adjust: { multiply: "1" }, ...rule },
    ],
  };
}

describe("a policy is refused with the rule's name and position", () => {
  it.each<[string, Stage, string, number | undefined, string]>([
    ["a syntax error", "market", "signals.demand >", 16, "Unexpected token"],
    [
      "a misspelt name",
      "market",
      "signal.demand > 1",
      0,
      '"signal" is not visible to market rules: they see product, signals, now',
    ],
    [
      "the customer in a market rule",
      "market",
      "product.stock > 1 && customer.prime",
      21,
      '"customer" is not visible to market',
    ],
    ["the quantity in a market rule", "market", "quantity > 1", 0, '"quantity" is not visible to market'],
    ["a signal in a customer rule", "customer", "signals.demand > 1", 0, '"signals" is not visible to customer'],
    ["the time in a customer rule", "customer", "now > now", 0, '"now" is not visible to customer'],
    ["an unknown signal", "market", "signals.demnad > 1", 8, 'no signal "demnad"'],
    ["an unknown signal by index", "market", 'signals["demnad"] > 1', 0, 'no signal "demnad"'],
    ["a signal by a computed name", "market", 'signals["dem" + "and"] > 1', 0, "read by name"],
    ["an unknown fact", "market", "product.prize > 1", 8, "No such key: prize"],
    ["a text compared with a number", "market", "product.id > 1", 0, "no such overload"],
    ["no condition", "market", "product.base_price", 0, "gives double, not a bool"],
    ["a regular expression", "market", 'product.id.matches("(a+)+$")', 0, '"matches" cannot be used'],
    ["a list that is made", "market", "product.attributes.l.map(x, x) == []", 0, '"map" cannot be used'],
    ["a bound name", "market", "cel.bind(x, 1, x > 0)", 0, '"bind" cannot be used'],
    ["nested comprehensions", "market", "product.attributes.l.all(x, x.exists(y, y > 1))", 28, "too costly"],
    ["a map", "market", '{"a": 1} == {"a": 1}', 1, "maxMapEntries"],
    ["too many nodes", "market", Array.from({ length: 200 }, () => "true").join(" && "), undefined, "maxAstNodes"],
    ["too deep a nesting", "market", `${"(".repeat(30)}true${")".repeat(30)}`, undefined, "maxDepth"],
    ["too long a text", "market", `true${" ".repeat(2000)}`, 2000, "longer than 2000"],
    ["a deep chain of signs", "market", `${"!".repeat(1999)}true`, undefined, ""],
  ])("%s", (_, stage, when, position, message) => {
    const errors = errorsOf(withRule(stage, { when }));
    expect(errors).toEqual([
      {
        stage,
        rule: "bad",
        index: 1,
        field: "when",
        position: position ?? expect.any(Number),
        message: expect.stringContaining(message),
      },
    ]);
  });

  it.each<[string, RuleSource["adjust"], string]>([
    ["a truth value", { multiply: "product.base_price > 1" }, "gives bool, not a number"],
    ["a text", { multiply: '"0.95"' }, "gives string, not a number"],
    ["a division of constants by zero", { multiply: "1 / 0" }, "not a finite number"],
    ["a constant out of range", { set: "1e10" }, "out of range"],
    ["a constant negative factor", { multiply: "-0.5" }, "is negative"],
    ["a constant negative price", { set: "-1" }, "is negative"],
    ["nothing", {}, "exactly one of"],
    ["two operations", { multiply: "1", add: "1" }, "exactly one of"],
  ])("an adjustment by %s", (_, adjust, message) => {
    const [error] = errorsOf(withRule("customer", { adjust }));
    expect(error).toMatchObject({
      stage: "customer",
      rule: "bad",
      index: 1,
      message: expect.stringContaining(message),
    });
  });

  it("a name twice in a stage, or of a built-in step; but not one name in two stages", () => {
    const rule = (name: string): RuleSource => ({ name, adjust: { multiply: "1" } });
    expect(errorsOf({ market: [rule("a"), rule("a")] })).toMatchObject([{ rule: "a", index: 1, field: "name" }]);
    expect(errorsOf({ market: [rule("corridor.floor")] })).toMatchObject([{ rule: "corridor.floor", field: "name" }]);
    expect(errorsOf({ market: [rule("a")], customer: [rule("a")] })).toEqual([]);
  });

  it("too many rules", () => {
    const market = Array.from({ length: 201 }, (_, index) => ({ name: `r${index}`, adjust: { multiply: "1" } }));
    expect(errorsOf({ market })).toMatchObject([{ stage: "market", message: expect.stringContaining("200") }]);
  });

  it("everything that is wrong at once", () => {
    const errors = errorsOf({
      market: [{ name: "one", when: "nope", adjust: { multiply: "customer.prime" } }],
      customer: [{ name: "two", adjust: { add: "signals.demand" } }],
      corridor: { floor: "10", ceiling: "5" },
      rounding: { increment: "0" },
    });
    expect(errors.map(({ stage, rule, field }) => `${stage} ${rule} ${field}`)).toEqual([
      "market one when",
      "market one adjust.multiply",
      "customer two adjust.add",
      "corridor floor corridor.floor",
      "rounding increment rounding.increment",
    ]);
  });
});

describe("a corridor or rounding that contradicts itself is refused", () => {
  it.each<[string, NonNullable<PolicySource["corridor"]>, string]>([
    ["a floor above the ceiling", { floor: "10.01", ceiling: "10" }, "floor"],
    ["a legal minimum above the ceiling", { legalMinimum: "11", ceiling: "10" }, "legalMinimum"],
    ["a ceiling of nothing", { ceiling: "0" }, "ceiling"],
    ["no step at all", { maxStep: "0" }, "maxStep"],
    ["no drift at all", { maxDailyDrift: "0.00" }, "maxDailyDrift"],
    ["a percentage for a share", { minMargin: "101" }, "minMargin"],
    ["no decimal", { minMargin: "ten" }, "minMargin"],
    ["a negative margin", { minMargin: "-0.1" }, "minMargin"],
  ])("%s", (_, corridor, rule) => {
    expect(errorsOf({ corridor })).toMatchObject([{ stage: "corridor", rule, field: `corridor.${rule}` }]);
  });

  it.each([
    [{ increment: "0.10", ending: "0.10" }, "ending"],
    [{ increment: "0.10", ending: "0.99" }, "ending"],
    [{ increment: "0", ending: "0" }, "increment"],
    [{ increment: "x" }, "increment"],
  ])("%j", (rounding, rule) => {
    expect(errorsOf({ rounding })).toMatchObject([{ stage: "rounding", rule }]);
  });

  it("but the edge is not", () => {
    expect(
      errorsOf({ corridor: { floor: "10", ceiling: "10" }, rounding: { increment: "1", ending: "0.99" } }),
    ).toEqual([]);
  });
});

describe("numbers mean what they say", () => {
  const attributes = { n: 3, list: [1, 2, 3], text: "abc" };
  it.each([
    "product.stock <= 5",
    "product.stock == 5",
    "product.stock != 6.0",
    "product.stock in [4, 5, 6]",
    "product.stock % 2 == 1",
    "product.stock * 2 == 10 && product.stock / 2 == 2.5",
    "1 / 2 == 0.5",
    "-1 < 0 && 3 - 5 == -2",
    "(product.stock > 3 ? 1.5 : 1) == 1.5",
    "size(product.attributes.list) == 3 && size(product.attributes.list) / 2 == 1.5",
    "product.attributes.list[0] == 1 && product.attributes.n > 2",
    "2 in product.attributes.list",
    "product.attributes.list.exists(x, x > 2) && product.attributes.list.all(x, x >= 1)",
    'product.attributes.text.substring(1, 2) == "b"',
    "now.getHours() >= 12 && now.getHours() * 0.5 == 6",
    "(now - timestamp(0)).getHours() > 24",
    "signals.demand > 1 && signals.demand * 2 == 3",
    'has(product.attributes.n) && !has(product.attributes.m) && "n" in product.attributes',
  ])("%s", (when) => {
    const policy = policyOf({ market: [{ name: "rule", when, adjust: { multiply: "2" } }] });
    const given = facts({
      product: { stock: 5, attributes },
      signals: { demand: { demand: 1.5, observedAtMs: nowMs } },
    });
    expect(publish(given, policy, { nowMs, signalTtlMs })).toMatchObject({ priceMinor: 4000, skipped: [] });
  });

  it.each(["quantity > 9", "quantity >= 10", "quantity % 5 == 0", "quantity in [10, 20]", "quantity * 2 == 20"])(
    "%s",
    (when) => {
      const policy = policyOf({ customer: [{ name: "rule", when, adjust: { multiply: "0.5" } }] });
      expect(quote(quoteRequest({ quantity: 10 }), policy)).toMatchObject({
        quote: { finalPriceMinor: 1000, skipped: [] },
      });
    },
  );
});

describe("whatever is written", () => {
  it("compilePolicy answers, and what compiles publishes", () => {
    const token = fc.constantFrom(
      ...[
        "product",
        "signals",
        "now",
        ".stock",
        ".demand",
        ".attributes",
        ".x",
        "[0]",
        "(",
        ")",
        "1",
        "0",
        "1.5",
        '"a"',
      ],
      ...[
        "+",
        "-",
        "*",
        "/",
        "%",
        "<",
        "==",
        "&&",
        "||",
        "!",
        "?",
        ":",
        "in",
        "[",
        "]",
        ",",
        "size",
        "has",
        ".exists(x, x",
        "int(",
      ],
    );
    const expression = fc.array(token, { minLength: 1, maxLength: 12 }).map((tokens) => tokens.join(" "));
    const given = facts({
      product: { stock: 5, attributes: { x: [1] } },
      signals: { demand: { demand: 2, observedAtMs: nowMs } },
    });
    fc.assert(
      fc.property(expression, expression, (when, multiply) => {
        const result = compilePolicy({ market: [{ name: "rule", when, adjust: { multiply } }] });
        if (result.ok)
          expect(publish(given, result.policy, { nowMs, signalTtlMs }).priceMinor).toBeGreaterThanOrEqual(0);
        else expect(result.errors.length).toBeGreaterThan(0);
      }),
      { numRuns: 3000 },
    );
  });
});
