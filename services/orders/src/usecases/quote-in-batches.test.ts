import { AppError } from "@pricing-engine/chassis/errors";
import { maxOrderLines, type QuotesRequest } from "@pricing-engine/contracts";
import { expect, it } from "vitest";
import { makeQuoteInBatches } from "./quote-in-batches.ts";

/** Pricing of one currency, where a product costs what its name says. */
function makePricing(refuses: (request: QuotesRequest) => AppError | undefined = () => undefined) {
  const calls: QuotesRequest[] = [];
  const quote = async (request: QuotesRequest) => {
    calls.push(request);
    const error = refuses(request);
    if (error !== undefined) throw error;
    const results = request.items.map(({ product_id }) => {
      const unit_price = request.is_prime_member ? "1.00" : "2.00";
      return { product_id, name: product_id, unit_price, currency: "EUR", decision_id: "d", initial_stock: null };
    });
    return { results };
  };
  return { calls, quote: makeQuoteInBatches(quote, 1_000) };
}

const order = (products: readonly string[], is_prime_member = false): QuotesRequest => ({
  is_prime_member,
  items: products.map((product_id) => ({ product_id, quantity: 1 })),
});

it("asks for orders that come at once in one call, members apart, and gives each its own lines", async () => {
  const { calls, quote } = makePricing();
  const orders = [order(["a", "b"]), order(["c"], true), order(["a"]), order(["d"], true)];
  const answers = await Promise.all(orders.map(quote));
  expect(answers.map(({ results }) => results.map(({ product_id }) => product_id))).toEqual([
    ["a", "b"],
    ["c"],
    ["a"],
    ["d"],
  ]);
  expect(
    answers.flatMap(({ results }) => results.map((result) => "unit_price" in result && result.unit_price)),
  ).toEqual(["2.00", "2.00", "1.00", "2.00", "1.00"]);
  expect(calls).toHaveLength(2);
});

it("asks for no more lines at once than one order may have", async () => {
  const { calls, quote } = makePricing();
  const products = (count: number) => Array.from({ length: count }, (_, index) => `p${index}`);
  const orders = [order(products(maxOrderLines)), order(["a"]), order(products(maxOrderLines - 1)), order(["b"])];
  const answers = await Promise.all(orders.map(quote));
  expect(answers.map(({ results }) => results.length)).toEqual(orders.map(({ items }) => items.length));
  expect(calls.map(({ items }) => items.length)).toEqual([maxOrderLines, maxOrderLines, 1]);
});

it("refuses only the order that pricing has a fault with, and all when pricing is away", async () => {
  const faulty = makePricing(({ items }) =>
    items.some(({ product_id }) => product_id === "bad")
      ? new AppError("unavailable", { context: { status: 500 } })
      : undefined,
  );
  const settled = await Promise.allSettled([order(["a"]), order(["bad"]), order(["c"])].map(faulty.quote));
  expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);

  const away = makePricing(() => new AppError("unavailable", { cause: new Error("ECONNREFUSED") }));
  const refused = await Promise.allSettled([order(["a"]), order(["b"])].map(away.quote));
  expect(refused.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(away.calls).toHaveLength(1);
});
