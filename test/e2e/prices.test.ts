import type { ExplainResponse, HistoryResponse, PriceResponse } from "@pricing-engine/contracts";
import { eventually } from "@pricing-engine/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Engine, startEngine } from "../support/engine.ts";
import { readMetric } from "../support/metrics.ts";

let engine: Engine;

beforeAll(async () => {
  engine = await startEngine({
    replicas: { gateway: 2 },
    pricing: {
      signals: { ttl: { demand: "0s", competitor_price: "0s", stock: "0s", cost: "0s" } },
      policy: {
        market: [
          { name: "demand", when: "signals.demand > 1.0", adjust: { multiply: "signals.demand" }, reason: "Demand" },
        ],
        customer: [
          { name: "prime", when: "customer.prime", adjust: { multiply: "0.95" }, reason: "Members" },
          { name: "many", when: "quantity >= 10", adjust: { multiply: "0.9" }, reason: "Many" },
          { name: "abroad", when: 'customer.location == "FR"', adjust: { multiply: "1.1" }, reason: "Abroad" },
        ],
      },
    },
  });
});
afterAll(() => engine?.[Symbol.asyncDispose]());

/** Prices that the pricing service computed from Postgres. */
async function countComputations(): Promise<number> {
  const [api] = engine.processes("pricing-api");
  if (api === undefined) throw new Error("no pricing-api");
  return readMetric(api, "pricing_engine_quotes_total");
}

it("answers from the database, then from the cache, and moves with an event", async () => {
  const { client } = engine;
  await client.put("seat");
  const first = await client.price("seat");
  expect(first).toMatchObject({ final_price: "10.00", base_price: "10.00", discount_rate: 0, source: "database" });
  const second = await client.price("seat");
  expect(second).toEqual({ ...first, source: "cache" });

  const taskId = await client.publish({ type: "demand", product_id: "seat", demand: 1.5 });
  expect(await client.taskEnd(taskId)).toMatchObject({
    status: "succeeded",
    type: "demand",
    products: { total: 1, done: 1, changed: 1, failed: 0 },
  });
  await eventually(async () => expect((await client.price("seat")).final_price).toBe("15.00"));

  const explained = (await client.call("GET", "/api/v1/prices/seat/explain?is_prime_member=true"))
    .body as ExplainResponse;
  expect(explained.steps.map(({ rule, before, after }) => [rule, before, after])).toEqual([
    ["base_price", "10.00", "10.00"],
    ["demand", "10.00", "15.00"],
    ["prime", "15.00", "14.25"],
  ]);
  const history = (await client.call("GET", "/api/v1/prices/seat/history")).body as HistoryResponse;
  expect(history.entries.map(({ price }) => price)).toEqual(["10.00", "15.00"]);
  expect(history.lowest_30d).toBe("10.00");
});

it("computes once for 200 that miss at the same time, whatever gateway they come through", async () => {
  await engine.client.put("popular");
  // From here on the cache knows the product's sequence, which comes a moment after the write: who has seen less must
  // not be answered together with who has seen more.
  await engine.client.price("popular", { quantity: 2 });
  const before = await countComputations();
  const answers = await Promise.all(Array.from({ length: 200 }, () => engine.client.price("popular")));
  expect(new Set(answers.map(({ decision_id }) => decision_id)).size).toBe(1);
  expect(await countComputations()).toBe(before + 1);
});

it("keeps apart what a price depends on: member and guest, quantity, place, segment and currency", async () => {
  const { client } = engine;
  const validity = { min_quantity: 1, priority: 0 };
  await client.put("apart", {
    list_prices: [
      { currency: "USD", price: "12.00", ...validity },
      { currency: "EUR", price: "8.00", segment: "business", ...validity },
    ],
  });
  const contexts: [Record<string, unknown>, string, string][] = [
    [{}, "10.00", "EUR"],
    [{ is_prime_member: true }, "9.50", "EUR"],
    [{ quantity: 10 }, "9.00", "EUR"],
    [{ quantity: 10, is_prime_member: true }, "8.55", "EUR"],
    [{ user_location: "FR" }, "11.00", "EUR"],
    [{ segment: "business" }, "8.00", "EUR"],
    [{ currency: "USD" }, "12.00", "USD"],
  ];
  // The first round fills the cache, each entry beside the others; the second one must not find a neighbour's.
  for (const source of ["database", "cache"]) {
    for (const [context, finalPrice, currency] of contexts) {
      const price = await client.price("apart", context);
      expect([context, price.final_price, price.currency, price.source]).toEqual([
        context,
        finalPrice,
        currency,
        source,
      ]);
    }
  }
  // Said in other words, it is the same question.
  expect((await client.price("apart", { is_prime_member: false, quantity: 1 })).source).toBe("cache");
  const refused = await client.call("POST", "/api/v1/price", { json: { product_id: "apart", currency: "GBP" } });
  expect([refused.status, refused.body]).toMatchObject([422, { code: "currency_not_sold" }]);
});

it("answers a batch in order, each item for itself", async () => {
  await engine.client.put("in-batch");
  const items = [{ product_id: "in-batch" }, { product_id: "nope" }, { product_id: "in-batch", quantity: 10 }];
  const answer = await engine.client.call("POST", "/api/v1/prices:batch", { json: { items } });
  expect(answer.body).toMatchObject({
    results: [
      { product_id: "in-batch", final_price: "10.00" },
      { product_id: "nope", error: { status: 404, code: "not_found" } },
      { product_id: "in-batch", final_price: "9.00" },
    ],
  });
});

it("gives a repeated event its task, and skips one older than what is known", async () => {
  const { client } = engine;
  await client.put("repeated");
  const demand = { type: "demand", product_id: "repeated" };
  const now = Date.now();
  const newer = { ...demand, demand: 2, event_id: "e-2", observed_at: new Date(now).toISOString() };
  const taskId = await client.publish(newer);
  expect((await client.taskEnd(taskId)).status).toBe("succeeded");
  expect(await client.publish(newer)).toBe(taskId);
  expect(await client.publish({ ...newer, demand: 50 })).toBe(taskId);

  const older = { ...demand, demand: 3, event_id: "e-1", observed_at: new Date(now - 1_000).toISOString() };
  expect((await client.taskEnd(await client.publish(older))).status).toBe("skipped");
  await eventually(async () => expect((await client.price("repeated")).final_price).toBe("20.00"));
  const rows = await engine.sql`select price_minor from pricing.price_history where product_id = 'repeated'`;
  expect(rows).toHaveLength(2);
});

it("shows no price of a deleted product, nor an old one when it is made again", async () => {
  const { client } = engine;
  await client.put("phoenix");
  await client.price("phoenix");
  expect((await client.call("DELETE", "/api/v1/products/phoenix")).status).toBe(204);
  const gone = () => client.call("POST", "/api/v1/price", { json: { product_id: "phoenix" } });
  await eventually(async () => expect((await gone()).status).toBe(404));
  await client.put("phoenix", { base_price: "7.00" });
  await eventually(async () => expect(((await gone()).body as PriceResponse).final_price).toBe("7.00"));
});
