import { decimal, fromMinor, toMinor, toText } from "@pricing-engine/money";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hardFloor } from "./corridor.ts";
import { euros, facts, nowMs, policyOf, signalTtlMs } from "./fixtures.test-support.ts";
import { noPolicy } from "./policy.ts";
import { publish } from "./publish.ts";
import { foldSteps, recordSteps } from "./steps.ts";
import type { MarketFacts, PolicySource, RuleSource } from "./types.ts";

const moment = { nowMs, signalTtlMs };

function priceOf(given: MarketFacts, source: PolicySource): number {
  return publish(given, policyOf(source), moment).priceMinor;
}

const demand = (value: number, ageMs = 0): MarketFacts["signals"] => ({
  demand: { demand: value, observedAtMs: nowMs - ageMs },
});
const rule = (adjust: RuleSource["adjust"], more: Partial<RuleSource> = {}): RuleSource => ({
  name: "rule",
  adjust,
  ...more,
});

describe("without a policy", () => {
  it("a price is the base price", () => {
    const price = publish(facts(), noPolicy, moment);
    expect(price).toMatchObject({ priceMinor: 2000, bindingRule: undefined, reason: "Base price", alert: undefined });
    expect(recordSteps(price.steps, "EUR")).toEqual([
      { stage: "market", rule: "base_price", reason: "Base price", before: "20.00", after: "20.00" },
    ]);
  });

  it("it is never below cost", () => {
    const price = publish(facts({ product: { cost: { costMinor: 2500, statedAtMs: 0 } } }), noPolicy, moment);
    expect(price).toMatchObject({ priceMinor: 2500, bindingRule: "cost", costMinor: 2500 });
  });

  it("counts in the product's own currency", () => {
    const yen = publish(facts({ product: { currency: "JPY", basePriceMinor: 500 } }), noPolicy, moment);
    expect(yen.priceMinor).toBe(500);
    expect(recordSteps(yen.steps, "JPY")[0]?.after).toBe("500");
  });
});

describe("market rules", () => {
  const contractRule: RuleSource = {
    name: "demand",
    priority: 20,
    when: "signals.demand > 1.0",
    adjust: { multiply: "1.0 + (signals.demand - 1.0) * 0.1" },
    reason: "Demand is high",
  };

  it("apply as the contract's example says", () => {
    const price = publish(facts({ signals: demand(2) }), policyOf({ market: [contractRule] }), moment);
    expect(price).toMatchObject({ priceMinor: 2200, bindingRule: "demand", reason: "Demand is high" });
  });

  it("that name an absent or stale signal are skipped and recorded", () => {
    const policy = policyOf({ market: [contractRule] });
    const skipped = [{ stage: "market", rule: "demand", reason: "signal demand is absent or stale" }];
    expect(publish(facts(), policy, moment)).toMatchObject({ priceMinor: 2000, skipped });
    expect(publish(facts({ signals: demand(2, 3_600_001) }), policy, moment)).toMatchObject({
      priceMinor: 2000,
      skipped,
    });
    expect(publish(facts({ signals: demand(2, 3_600_000) }), policy, moment)).toMatchObject({
      priceMinor: 2200,
      skipped: [],
    });
  });

  it("may ask whether a signal is there", () => {
    const asks = rule({ multiply: "0.5" }, { when: "!has(signals.demand)" });
    expect(priceOf(facts(), { market: [asks] })).toBe(1000);
    expect(priceOf(facts({ signals: demand(1) }), { market: [asks] })).toBe(2000);
  });

  it("run lower priority first, then by name, whatever the order in which they are written", () => {
    const half = rule({ multiply: "0.5" }, { name: "b-half", priority: 10 });
    const add = rule({ add: "1" }, { name: "a-add", priority: 10 });
    const late = rule({ add: "0.10" }, { name: "a-late", priority: 20 });
    for (const market of [
      [half, add, late],
      [late, add, half],
      [add, late, half],
    ]) {
      const price = publish(facts(), policyOf({ market }), moment);
      expect(price.steps.map((step) => step.rule)).toEqual(["base_price", "a-add", "b-half", "a-late"]);
      expect(price.priceMinor).toBe(1060);
    }
  });

  it("in shadow mode are recorded beside the price and change nothing", () => {
    const shadow = rule({ multiply: "3" }, { mode: "shadow", reason: "Trying" });
    const price = publish(facts(), policyOf({ market: [shadow] }), moment);
    expect(price).toMatchObject({ priceMinor: 2000, bindingRule: undefined });
    expect(price.steps).toHaveLength(1);
    expect(recordSteps(price.shadow, "EUR")).toEqual([
      { stage: "market", rule: "rule", reason: "Trying", before: "20.00", after: "60.00" },
    ]);
  });

  it.each([
    ["division by zero", { multiply: "product.base_price / 0" }, "the adjustment is not a finite number"],
    [
      "not a number",
      { multiply: "0.0 / (product.base_price - product.base_price)" },
      "the adjustment is not a finite number",
    ],
    ["a missing attribute", { multiply: "product.attributes.factor" }, "No such key: factor"],
    ["a text for a number", { multiply: "product.attributes.text" }, "the adjustment is not a number"],
    ["a negative factor", { multiply: "product.base_price - 1000" }, "the adjustment is negative"],
    ["a negative price", { set: "product.base_price - 1000" }, "the adjustment is negative"],
    ["more taken off than there is", { add: "-1000" }, "the price would be negative"],
    ["a number out of range", { multiply: "product.base_price * 1e9" }, "the adjustment is out of range"],
    ["a cost that is not there", { set: "product.cost * 2" }, "the product has no cost"],
    [
      "a bad time",
      { multiply: "timestamp(product.attributes.text) > now ? 2 : 1" },
      expect.stringContaining("ISO 8601"),
    ],
  ])("with %s are skipped with the reason", (_, adjust, reason) => {
    const price = publish(
      facts({ product: { attributes: { text: "x" } } }),
      policyOf({ market: [rule(adjust)] }),
      moment,
    );
    expect(price).toMatchObject({ priceMinor: 2000, skipped: [{ stage: "market", rule: "rule", reason }] });
  });

  it("whose condition is no truth value are skipped", () => {
    const price = publish(
      facts({ product: { attributes: { vip: "yes" } } }),
      policyOf({ market: [rule({ multiply: "2" }, { when: "product.attributes.vip" })] }),
      moment,
    );
    expect(price.skipped).toEqual([
      { stage: "market", rule: "rule", reason: "the condition is neither true nor false" },
    ]);
  });

  it("do not walk lists without end", () => {
    const walks = rule({ multiply: "2" }, { when: "product.attributes.list.exists(x, x == 7)" });
    const long = { list: Array.from({ length: 1001 }, () => 7) };
    expect(priceOf(facts({ product: { attributes: { list: [1, 7] } } }), { market: [walks] })).toBe(4000);
    const price = publish(facts({ product: { attributes: long } }), policyOf({ market: [walks] }), moment);
    expect(price).toMatchObject({ priceMinor: 2000, skipped: [{ reason: expect.stringContaining("1000") }] });
  });

  it("may count hours until a product's own time", () => {
    const lastMinute = rule(
      { multiply: "0.5" },
      { when: "(timestamp(product.attributes.starts_at) - now).getHours() < 48" },
    );
    const at = (hours: number) => ({ starts_at: new Date(nowMs + hours * 3_600_000).toISOString() });
    expect(priceOf(facts({ product: { attributes: at(47) } }), { market: [lastMinute] })).toBe(1000);
    expect(priceOf(facts({ product: { attributes: at(49) } }), { market: [lastMinute] })).toBe(2000);
  });

  it("keep 9 decimals of what CEL gives, half-even", () => {
    const price = publish(facts(), policyOf({ market: [rule({ multiply: "1.0 / 3" })] }), moment);
    expect(toText(price.steps.at(1)?.after ?? decimal(0))).toBe("6.66666666");
  });
});

describe("the cost", () => {
  const stated = { costMinor: 1500, statedAtMs: nowMs - 1000 };
  const signal = (costMinor: number, observedAtMs: number) => ({ cost: { costMinor, observedAtMs } });
  it.each([
    ["the product's without a signal", stated, {}, 1500],
    ["the signal's without the product's", undefined, signal(1700, nowMs), 1700],
    ["the later one: the signal", stated, signal(1700, nowMs - 500), 1700],
    ["the later one: the product", stated, signal(1700, nowMs - 1500), 1500],
    ["the signal's at the same moment", stated, signal(1200, nowMs - 1000), 1200],
    ["the signal's at any age, when its time to live is 0", undefined, signal(1700, 0), 1700],
    ["nobody's", undefined, {}, undefined],
  ])("is %s", (_, cost, signals, expected) => {
    expect(publish(facts({ product: { cost }, signals }), noPolicy, moment).costMinor).toBe(expected);
  });

  it("falls back to the product's when the signal is stale", () => {
    const given = facts({ product: { cost: stated }, signals: signal(1700, nowMs - 101) });
    const ttl = { ...signalTtlMs, cost: 100 };
    expect(publish(given, noPolicy, { nowMs, signalTtlMs: ttl }).costMinor).toBe(1500);
  });
});

describe("the corridor", () => {
  const cost = { costMinor: 1000, statedAtMs: 0 };
  const set = (price: string): RuleSource[] => [rule({ set: price })];
  const last = euros(10000);
  it.each<[string, MarketFacts, PolicySource, number, string | undefined]>([
    [
      "cost and margin",
      facts({ product: { cost } }),
      { market: set("5"), corridor: { minMargin: "0.10" } },
      1100,
      "corridor.min_margin",
    ],
    ["cost alone", facts({ product: { cost } }), { market: set("5") }, 1000, "cost"],
    [
      "floor above cost",
      facts({ product: { cost } }),
      { market: set("5"), corridor: { floor: "12" } },
      1200,
      "corridor.floor",
    ],
    [
      "legal minimum",
      facts(),
      { market: set("5"), corridor: { floor: "6", legalMinimum: "7" } },
      700,
      "corridor.legal_minimum",
    ],
    ["ceiling", facts(), { market: set("5000"), corridor: { ceiling: "999" } }, 99900, "corridor.ceiling"],
    ["a step up", facts({ last }), { market: set("500"), corridor: { maxStep: "0.20" } }, 12000, "corridor.max_step"],
    ["a step down", facts({ last }), { market: set("1"), corridor: { maxStep: "0.20" } }, 8000, "corridor.max_step"],
    [
      "a day's drift",
      facts({ last, dayAgo: euros(9000) }),
      { market: set("500"), corridor: { maxStep: "0.9", maxDailyDrift: "0.50" } },
      13500,
      "corridor.max_daily_drift",
    ],
    ["no step without a last price", facts(), { market: set("500"), corridor: { maxStep: "0.20" } }, 50000, "rule"],
    [
      "no step from another currency",
      facts({ last: { priceMinor: 1, currency: "USD" } }),
      { market: set("500"), corridor: { maxStep: "0.20" } },
      50000,
      "rule",
    ],
    [
      "a cost that jumped beyond a step",
      facts({ last, product: { cost: { costMinor: 20000, statedAtMs: 0 } } }),
      { corridor: { maxStep: "0.20" } },
      20000,
      "cost",
    ],
    [
      "a cost that jumped beyond a day's drift",
      facts({ dayAgo: last, last, product: { cost: { costMinor: 20000, statedAtMs: 0 } } }),
      { corridor: { maxDailyDrift: "0.20" } },
      20000,
      "cost",
    ],
    ["a step of more than all", facts({ last }), { market: set("0"), corridor: { maxStep: "2" } }, 0, "rule"],
    [
      "margin rounded up",
      facts({ product: { cost: { costMinor: 999, statedAtMs: 0 } } }),
      { market: set("5"), corridor: { minMargin: "0.001" } },
      1000,
      "corridor.min_margin",
    ],
  ])("holds: %s", (_, given, source, expected, binding) => {
    expect(publish(given, policyOf(source), moment)).toMatchObject({
      priceMinor: expected,
      bindingRule: binding,
      alert: undefined,
    });
  });

  it("that is empty keeps the last price and raises an alert", () => {
    const price = publish(
      facts({ last: euros(10000) }),
      policyOf({ corridor: { ceiling: "50", maxStep: "0.20" } }),
      moment,
    );
    expect(price).toMatchObject({
      priceMinor: 10000,
      bindingRule: "corridor.empty",
      alert: { code: "corridor_empty" },
    });
  });

  it.each([
    ["the last price above the floor", euros(7000), 7000],
    ["the floor above the last price", euros(4000), 6000],
    ["the floor without a last price", undefined, 6000],
  ])("that is empty because the floor is above the ceiling: %s", (_, lastPrice, expected) => {
    const given = facts({ last: lastPrice, product: { cost: { costMinor: 6000, statedAtMs: 0 } } });
    const price = publish(given, policyOf({ corridor: { ceiling: "50" } }), moment);
    expect(price).toMatchObject({ priceMinor: expected, alert: { code: "corridor_empty" } });
  });
});

it("the greatest amounts do not make publish throw", () => {
  const most = 999_999_999_999;
  const given = facts({
    product: { basePriceMinor: most, cost: { costMinor: most, statedAtMs: 0 } },
    last: euros(most),
  });
  const source = {
    market: [rule({ multiply: "1000" }), rule({ multiply: "1000000000" }, { name: "more" })],
    corridor: { minMargin: "100", maxStep: "100" },
    rounding: { increment: "0.10", ending: "0.09" },
  };
  expect(publish(given, policyOf(source), moment).priceMinor).toBeGreaterThan(most);
});

describe("rounding", () => {
  const rounding = { increment: "0.10", ending: "0.09" };
  it.each<[string, string, PolicySource["corridor"], PolicySource["rounding"], number]>([
    ["the nearest below", "10.03", {}, rounding, 999],
    ["the nearest above", "10.05", {}, rounding, 1009],
    ["ties down", "10.04", {}, rounding, 999],
    ["an allowed price", "10.09", {}, rounding, 1009],
    ["up, where only that is inside", "10.03", { floor: "10.00" }, rounding, 1009],
    ["down, where only that is inside", "10.08", { ceiling: "10.08" }, rounding, 999],
    ["none inside: the minor unit", "10.034", { floor: "10.00", ceiling: "10.05" }, rounding, 1003],
    ["no price below zero", "0.02", {}, rounding, 9],
    ["whole numbers", "14.5", {}, { increment: "5" }, 1500],
    ["without: half-even down", "10.045", {}, undefined, 1004],
    ["without: half-even up", "10.055", {}, undefined, 1006],
    ["up where a floor binds", "10", { floor: "10.001" }, undefined, 1001],
    ["down where the ceiling does", "11", { ceiling: "10.009" }, undefined, 1000],
    ["an increment that the currency cannot express", "10.034", {}, { increment: "0.005" }, 1003],
  ])("takes %s", (_, price, corridor, given, expected) => {
    const source = { market: [rule({ set: price })], corridor, ...(given === undefined ? {} : { rounding: given }) };
    expect(priceOf(facts(), source)).toBe(expected);
  });
});

describe("for any facts and rules, publish", () => {
  const adjust = fc.oneof(
    fc.integer({ min: 0, max: 3000 }).map((n) => ({ multiply: String(n / 1000) })),
    fc.integer({ min: -5000, max: 5000 }).map((n) => ({ add: String(n / 100) })),
    fc.integer({ min: 0, max: 50_000 }).map((n) => ({ set: String(n / 100) })),
    fc.constant({ multiply: "signals.demand / (signals.demand - 1)" }),
  );
  const ratio = fc.option(
    fc.integer({ min: 1, max: 900 }).map((n) => String(n / 1000)),
    { nil: undefined },
  );
  const amount = fc.integer({ min: 0, max: 10_000 });
  const policySource: fc.Arbitrary<PolicySource> = fc.record({
    market: fc
      .array(fc.record({ adjust, priority: fc.integer({ min: 0, max: 3 }), mode: fc.constantFrom("auto", "shadow") }), {
        maxLength: 6,
      })
      .map((rules) => rules.map((each, index) => ({ ...each, name: `rule-${index}` }) satisfies RuleSource)),
    corridor: fc.record({
      minMargin: ratio,
      floor: fc.option(
        amount.map((n) => String(n / 200)),
        { nil: undefined },
      ),
      ceiling: fc.option(
        amount.map((n) => String(50 + n / 33)),
        { nil: undefined },
      ),
      maxStep: ratio,
      maxDailyDrift: ratio,
    }),
    rounding: fc.option(fc.constantFrom({ increment: "0.10", ending: "0.09" }, { increment: "1" }), { nil: undefined }),
  });
  const published = fc.option(amount.map(euros), { nil: undefined });
  const marketFacts: fc.Arbitrary<MarketFacts> = fc
    .record({
      base: amount,
      cost: fc.option(amount, { nil: undefined }),
      demand: fc.integer({ min: 0, max: 100 }),
      last: published,
      dayAgo: published,
    })
    .map(({ base, cost, demand: value, last, dayAgo }) =>
      facts({
        product: { basePriceMinor: base, cost: cost === undefined ? undefined : { costMinor: cost, statedAtMs: 0 } },
        signals: demand(value / 10),
        last,
        dayAgo,
      }),
    );

  it("is the fold of its steps, from the base price to the price", () => {
    fc.assert(
      fc.property(marketFacts, policySource, (given, source) => {
        const price = publish(given, policyOf(source), moment);
        const base = fromMinor(given.product.basePriceMinor, "EUR");
        expect(price.steps[0]?.before).toEqual(base);
        const folded = foldSteps(base, price.steps);
        expect(folded === undefined ? undefined : toMinor(folded, "EUR", "half-even")).toBe(price.priceMinor);
        expect(toText(folded ?? decimal(-1))).toBe(toText(fromMinor(price.priceMinor, "EUR")));
      }),
    );
  });

  it("never goes below the floor, and stays inside the corridor unless it says that there is none", () => {
    fc.assert(
      fc.property(marketFacts, policySource, (given, source) => {
        const policy = policyOf(source);
        const price = publish(given, policy, moment);
        const floor = hardFloor(policy.corridor, price.costMinor, "EUR")?.minor ?? 0;
        expect(price.priceMinor).toBeGreaterThanOrEqual(floor);
        expect(price.priceMinor).toBeGreaterThanOrEqual(price.costMinor ?? 0);
        if (price.alert !== undefined) {
          expect(price.priceMinor).toBe(Math.max(given.last?.priceMinor ?? 0, floor));
          return;
        }
        const { ceiling, maxStep, maxDailyDrift } = source.corridor ?? {};
        if (ceiling !== undefined) expect(price.priceMinor).toBeLessThanOrEqual(Number(ceiling) * 100);
        for (const [reference, share] of [
          [given.last, maxStep],
          [given.dayAgo, maxDailyDrift],
        ] as const) {
          if (reference === undefined || share === undefined) continue;
          const most = reference.priceMinor * Number(share) + 1e-6;
          expect(price.priceMinor).toBeGreaterThanOrEqual(reference.priceMinor - most);
          expect(price.priceMinor).toBeLessThanOrEqual(Math.max(floor, reference.priceMinor + most));
        }
      }),
    );
  });

  it("gives the same for the same, in whatever order the rules are written", () => {
    fc.assert(
      fc.property(marketFacts, policySource, fc.nat(), (given, source, seed) => {
        const rules = [...(source.market ?? [])];
        const turned = rules
          .splice(seed % (rules.length + 1))
          .concat(rules)
          .toReversed();
        const price = publish(given, policyOf(source), moment);
        expect(publish(given, policyOf(source), moment)).toEqual(price);
        expect(publish(given, policyOf({ ...source, market: turned }), moment)).toEqual(price);
      }),
    );
  });

  it("changes nothing by a shadow rule", () => {
    fc.assert(
      fc.property(marketFacts, policySource, (given, source) => {
        const auto = source.market?.filter((each) => each.mode !== "shadow") ?? [];
        const { shadow: _shadow, skipped: _skipped, ...price } = publish(given, policyOf(source), moment);
        expect(publish(given, policyOf({ ...source, market: auto }), moment)).toMatchObject(price);
      }),
    );
  });

  it("does not fall when one factor grows", () => {
    const factor = fc.integer({ min: 0, max: 3000 });
    fc.assert(
      fc.property(marketFacts, policySource, factor, factor, (given, source, a, b) => {
        const price = (n: number) =>
          priceOf(given, { ...source, market: [rule({ multiply: String(n / 1000) }, { name: "one" })] });
        expect(price(Math.max(a, b))).toBeGreaterThanOrEqual(price(Math.min(a, b)));
      }),
    );
  });
});
