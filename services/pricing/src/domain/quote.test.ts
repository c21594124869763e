import { fromMinor, toText } from "@pricing-engine/money";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nowMs, policyOf, product, quoteRequest } from "./fixtures.test-support.ts";
import { chooseListPrice } from "./list-price.ts";
import { noPolicy } from "./policy.ts";
import { discountRate, quote } from "./quote.ts";
import { foldSteps } from "./steps.ts";
import type { ListPrice, PolicySource, Quote, QuoteRequest } from "./types.ts";

function quoteOf(request: Partial<QuoteRequest>, source: PolicySource = {}): Quote {
  const result = quote(quoteRequest(request), policyOf(source));
  if (!result.ok) throw new Error(result.code);
  return result.quote;
}

function listPrice(overrides: Partial<ListPrice> = {}): ListPrice {
  return {
    id: "1",
    segment: undefined,
    currency: "EUR",
    minQuantity: 1,
    validFromMs: undefined,
    validToMs: undefined,
    priceMinor: 1500,
    priority: 0,
    ...overrides,
  };
}

const prime = { prime: true, location: "DE-BE", segment: "business" };
const primeRule: PolicySource = {
  customer: [{ name: "prime", priority: 10, when: "customer.prime", adjust: { multiply: "0.95" }, reason: "Members" }],
};
const market = (priceMinor: number, costMinor?: number) => ({
  market: { currency: "EUR", priceMinor, basePriceMinor: 2000, costMinor },
});

describe("quote", () => {
  it("is the market price for everybody without rules", () => {
    expect(quoteOf({})).toMatchObject({ finalPriceMinor: 2000, basePriceMinor: 2000, discountRate: 0, steps: [] });
    expect(quoteOf({}).bindingRule).toBeUndefined();
  });

  it("applies customer rules to whom they concern", () => {
    expect(quoteOf({ customer: prime }, primeRule)).toMatchObject({
      finalPriceMinor: 1900,
      discountRate: 0.05,
      bindingRule: "prime",
    });
    expect(quoteOf({}, primeRule).finalPriceMinor).toBe(2000);
  });

  it.each([
    ['customer.segment == "business" && customer.location.startsWith("DE")', 1000],
    ["quantity > 10", 2000],
    ["product.base_price == 20.0 && product.cost < 15", 1000],
  ])("knows %s", (when, expected) => {
    const source = { customer: [{ name: "rule", when, adjust: { multiply: "0.5" } }] };
    expect(quoteOf({ customer: prime, ...market(2000, 900) }, source).finalPriceMinor).toBe(expected);
  });

  it("compares what the customer did not tell without a skip", () => {
    const source = { customer: [{ name: "rule", when: 'customer.segment == "vip"', adjust: { multiply: "0.5" } }] };
    expect(quoteOf({}, source)).toMatchObject({ finalPriceMinor: 2000, skipped: [] });
  });

  it.each<[string, PolicySource["corridor"], number | undefined, number, string]>([
    ["cost", {}, 1950, 1950, "cost"],
    ["cost and margin", { minMargin: "0.10" }, 1800, 1980, "corridor.min_margin"],
    ["the floor", { floor: "19.60" }, undefined, 1960, "corridor.floor"],
    ["the legal minimum", { legalMinimum: "19.70" }, undefined, 1970, "corridor.legal_minimum"],
  ])("never goes below %s", (_, corridor, costMinor, expected, bindingRule) => {
    const result = quoteOf({ customer: prime, ...market(2000, costMinor) }, { ...primeRule, corridor });
    expect(result).toMatchObject({ finalPriceMinor: expected, bindingRule });
  });

  it("rounds to an allowed price, not below the floor", () => {
    const rounding = { increment: "0.10", ending: "0.09" };
    expect(quoteOf({ customer: prime, ...market(1999) }, { ...primeRule, rounding }).finalPriceMinor).toBe(1899);
    expect(quoteOf({ customer: prime, ...market(1999, 1901) }, { ...primeRule, rounding }).finalPriceMinor).toBe(1909);
  });

  it("does not let rounding be what crosses the ceiling", () => {
    const source = { rounding: { increment: "1" }, corridor: { ceiling: "19.99" } };
    expect(quoteOf(market(1980), source).finalPriceMinor).toBe(1900);
  });
});

describe("list prices", () => {
  it("take the place of the market price", () => {
    const result = quoteOf({ listPrices: [listPrice()] });
    expect(result).toMatchObject({
      finalPriceMinor: 1500,
      listPriceId: "1",
      bindingRule: "list_price",
      discountRate: 0.25,
    });
  });

  it("are what customer rules and floors start from", () => {
    const request = { listPrices: [listPrice()], customer: prime };
    expect(quoteOf(request, primeRule).finalPriceMinor).toBe(1425);
    expect(quoteOf({ ...request, ...market(2000, 1450) }, primeRule).finalPriceMinor).toBe(1450);
  });

  it("decide alone in another currency, of which base price and cost are unknown", () => {
    const dollars = listPrice({ currency: "USD", priceMinor: 1800 });
    const result = quoteOf({ listPrices: [dollars], currency: "USD", ...market(2000, 1900) });
    expect(result).toMatchObject({ currency: "USD", finalPriceMinor: 1800, basePriceMinor: 1800, discountRate: 0 });
  });

  it.each([
    ["none is there", []],
    ["it is another segment's", [listPrice({ currency: "USD", segment: "vip" })]],
    ["it needs a higher quantity", [listPrice({ currency: "USD", minQuantity: 2 })]],
    ["it is over", [listPrice({ currency: "USD", validToMs: nowMs })]],
  ])("in another currency are missing when %s", (_, listPrices) => {
    const result = quote(quoteRequest({ listPrices, currency: "USD" }), noPolicy);
    expect(result).toEqual({ ok: false, code: "currency_not_sold", currency: "USD" });
  });

  it.each<[string, Partial<ListPrice>, Partial<ListPrice>]>([
    ["the higher priority", { priority: 2 }, { priority: 1, segment: "business", minQuantity: 5 }],
    ["the segment", { segment: "business" }, { minQuantity: 5 }],
    ["the higher tier", { minQuantity: 5 }, { minQuantity: 2, validFromMs: 0 }],
    ["the bounded time", { validFromMs: 0, validToMs: nowMs + 1 }, { validFromMs: 0 }],
    ["the lower id", { id: "a" }, { id: "b" }],
  ])("are chosen by %s, in any order", (_, winner, loser) => {
    const query = { segment: "business", currency: "EUR", quantity: 5, nowMs };
    const pair = [listPrice({ id: "w", ...winner }), listPrice({ id: "l", ...loser })];
    if (winner.id !== undefined) pair.splice(0, 2, listPrice(winner), listPrice(loser));
    expect(chooseListPrice(pair, query).chosen).toEqual(pair[0]);
    expect(chooseListPrice(pair.toReversed(), query).chosen).toEqual(pair[0]);
  });

  it("say when the next of them begins or ends, from inclusive, to exclusive", () => {
    const current = listPrice({ validFromMs: nowMs, validToMs: nowMs + 50 });
    const next = listPrice({ id: "2", validFromMs: nowMs + 20, priority: 1 });
    const elsewhere = listPrice({ id: "3", currency: "USD", validFromMs: nowMs + 5 });
    const listPrices = [current, next, elsewhere];
    expect(quoteOf({ listPrices })).toMatchObject({ listPriceId: "1", changesAtMs: nowMs + 20 });
    expect(quoteOf({ listPrices, nowMs: nowMs + 20 })).toMatchObject({ listPriceId: "2", changesAtMs: nowMs + 50 });
    expect(quoteOf({ listPrices: [current], nowMs: nowMs + 50 }).listPriceId).toBeUndefined();
    expect(quoteOf({ listPrices: [current], nowMs: nowMs - 1 })).toMatchObject({
      finalPriceMinor: 2000,
      changesAtMs: nowMs,
    });
  });
});

describe("discount_rate", () => {
  it.each([
    [1500, 2000, 0.25],
    [2000, 2000, 0],
    [2500, 2000, 0],
    [0, 0, 0],
    [1, 3, 0.6667],
    [0, 5, 1],
  ])("of %d for %d is %d", (final, base, expected) => {
    expect(discountRate(final, base)).toBe(expected);
  });
});

describe("for any customer and rules, quote", () => {
  const amount = fc.integer({ min: 0, max: 10_000 });
  const request = fc
    .record({
      priceMinor: amount,
      costMinor: fc.option(amount, { nil: undefined }),
      isPrime: fc.boolean(),
      quantity: fc.integer({ min: 1, max: 20 }),
      list: fc.array(
        fc.record({ priceMinor: amount, minQuantity: fc.integer({ min: 1, max: 20 }), priority: fc.nat(2) }),
        { maxLength: 4 },
      ),
    })
    .map(({ priceMinor, costMinor, isPrime, quantity, list }) =>
      quoteRequest({
        product: product(),
        ...market(priceMinor, costMinor),
        customer: { ...prime, prime: isPrime },
        quantity,
        listPrices: list.map((each, index) => listPrice({ ...each, id: String(index) })),
      }),
    );
  const source: fc.Arbitrary<PolicySource> = fc.record({
    customer: fc.constantFrom(
      [],
      [{ name: "prime", when: "customer.prime", adjust: { multiply: "0.333" } }],
      [
        { name: "many", when: "quantity >= 10", adjust: { add: "-1" } },
        { name: "half", adjust: { multiply: "0.5" } },
      ],
    ),
    corridor: fc.constantFrom({}, { minMargin: "0.1" }, { floor: "3", minMargin: "0.07" }),
    rounding: fc.constantFrom(undefined, { increment: "0.10", ending: "0.09" }),
  });

  it("is the fold of its steps and never below the floor", () => {
    fc.assert(
      fc.property(request, source, (given, policy) => {
        const result = quoteOf(given, policy);
        const folded = foldSteps(fromMinor(result.startPriceMinor, "EUR"), result.steps);
        expect(folded === undefined ? undefined : toText(folded)).toBe(
          toText(fromMinor(result.finalPriceMinor, "EUR")),
        );
        const cost = (given.market.costMinor ?? 0) * (1 + Number(policy.corridor?.minMargin ?? 0));
        expect(result.finalPriceMinor).toBeGreaterThanOrEqual(cost - 1e-6);
        expect(result.finalPriceMinor).toBeGreaterThanOrEqual(Number(policy.corridor?.floor ?? 0) * 100);
        expect(result.discountRate).toBeGreaterThanOrEqual(0);
        expect(result.discountRate).toBeLessThanOrEqual(1);
      }),
    );
  });

  it("does not depend on the order of list prices", () => {
    fc.assert(
      fc.property(request, source, (given, policy) => {
        const turned = { ...given, listPrices: given.listPrices.toReversed() };
        expect(quoteOf(turned, policy)).toEqual(quoteOf(given, policy));
      }),
    );
  });
});
