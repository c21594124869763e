import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Engine, startEngine } from "../support/engine.ts";
import { faultsOf, refused, taken, wellFormed } from "../support/judge.ts";
import { bodyMutations, type Case, fieldMutations, parameterMutations } from "../support/malform.ts";
import { type Operation, readOperations } from "../support/openapi.ts";

let engine: Engine;
let operations: readonly Operation[];

beforeAll(async () => {
  engine = await startEngine({
    payment: {},
    orders: {},
    gateway: { rateLimit: { capacity: 10_000, refillPerSecond: 10_000 } },
  });
  const known = new Set((await readOperations(engine.url)).map(({ name }) => name));
  operations = (await readOperations(engine.url, ["orders"])).filter(({ name }) => !known.has(name));
  // What the examples of the document name.
  for (const product of ["PROD-001", "concert-42-stalls"]) await engine.client.put(product, { stock: 100 });
  await engine.client.put("dear", { base_price: "10001.00" });
});
afterAll(() => engine?.[Symbol.asyncDispose]());

it("finds the calls of orders and stock in the document, and takes them as they should be", async () => {
  expect(operations.map(({ name }) => name).sort()).toEqual([
    "GET /api/v1/inventory/{product_id}",
    "GET /orders",
    "GET /orders/{order_id}",
    "POST /orders",
    "POST /orders/{order_id}/cancel",
    "PUT /api/v1/inventory/{product_id}",
  ]);
  expect(await faultsOf(engine.client, wellFormed(operations), taken)).toEqual([]);
});

describe("refuses with the offending field, and never fails", () => {
  it("bodies that are not what the call takes", async () => {
    const cases = operations.flatMap(bodyMutations);
    expect(cases.length).toBeGreaterThan(30);
    expect(await faultsOf(engine.client, cases, refused)).toEqual([]);
  });

  it("each field missing, null, of another type, out of its range, or unknown", async () => {
    // Without an action an order is placed: the checks' bodies lack what that needs.
    const cases = operations.flatMap(fieldMutations).filter(({ name }) => !name.endsWith("/action missing"));
    expect(cases.length).toBeGreaterThan(100);
    expect(await faultsOf(engine.client, cases, refused)).toEqual([]);
  });

  it("queries and paths", async () => {
    const cases = operations.flatMap(parameterMutations);
    expect(cases.length).toBeGreaterThan(30);
    expect(await faultsOf(engine.client, cases, refused)).toEqual([]);
  });

  it("what no schema says", async () => {
    const order = (more: object, line: object = {}) =>
      JSON.stringify({
        customer_id: "c",
        idempotency_key: "k",
        items: [{ product_id: "PROD-001", quantity: 1, ...line }],
        ...more,
      });
    const of = (name: string, raw: string, more: Partial<Case> = {}): Case => {
      const headers = { "content-type": "application/json", ...more.headers };
      return { name, method: "POST", target: "/orders", raw, ...more, headers };
    };
    const inventory = (name: string, raw: string, more: Partial<Case>): Case =>
      of(name, raw, { method: "PUT", target: "/api/v1/inventory/PROD-001", ...more });
    const cases: Case[] = [
      of("another action", order({ action: "buy" }), { pointer: "/action" }),
      of("no items", order({ items: [] }), { pointer: "/items" }),
      of("501 items", order({ items: Array.from({ length: 501 }, () => ({ product_id: "p", quantity: 1 })) }), {
        pointer: "/items",
      }),
      of("a price of three decimals", order({}, { price: 10.001 }), { pointer: "/items/0/price" }),
      of("a negative price", order({}, { price: -1 }), { pointer: "/items/0/price" }),
      of("no key at all", order({ idempotency_key: undefined }), { pointer: "/idempotency_key" }),
      of("an empty key in the header", order({}), { headers: { "idempotency-key": "" }, pointer: "/idempotency_key" }),
      of("a long key in the header", order({}), {
        headers: { "idempotency-key": "x".repeat(256) },
        pointer: "/idempotency_key",
      }),
      of("no key to look at", JSON.stringify({ action: "check_idempotency" }), { pointer: "/idempotency_key" }),
      of("an unknown product", order({}, { product_id: "nope" }), { status: 422, pointer: "/items/0/product_id" }),
      of("a decision that is none", order({}, { decision_id: "nope" }), {
        status: 422,
        pointer: "/items/0/decision_id",
      }),
      of("another price than ours", order({}, { price: 9.99 }), { status: 422, pointer: "/items/0/price" }),
      of("more than can be charged", order({}, { product_id: "dear", quantity: 1_000_000 }), { status: 422 }),
      inventory("both ways at once", '{"delta":1,"stock":1,"expected":1}', {}),
      inventory("a stock without what is expected", '{"stock":1}', {}),
      inventory("below zero", '{"delta":-101}', { status: 409 }),
      inventory("another stock than expected", '{"stock":1,"expected":99}', { status: 409 }),
      inventory("a product that nobody sells", '{"delta":1}', { target: "/api/v1/inventory/nope", status: 404 }),
      { name: "a status that is none", method: "GET", target: "/orders?status=lost", pointer: "?status" },
      { name: "a cursor of ours that is none", method: "GET", target: "/orders?cursor=bm9uZQ", pointer: "?cursor" },
      {
        name: "a cursor of a day that is none",
        method: "GET",
        target: `/orders?cursor=${Buffer.from("2026-02-31T00:00:00.000Z ord_1").toString("base64url")}`,
        pointer: "?cursor",
      },
      {
        name: "a window the wrong way round",
        method: "GET",
        target: "/orders?from=2026-01-31T12:00:00Z&to=2026-01-31T12:59:59%2B01:00",
        pointer: "?to",
      },
      { name: "a year that is none", method: "GET", target: "/orders?from=0000-01-01T00:00:00Z", pointer: "?from" },
      { name: "no such order", method: "GET", target: "/orders/ord_nope", status: 404 },
      { name: "cancel of none", method: "POST", target: "/orders/ord_nope/cancel", status: 404 },
      { name: "method", method: "DELETE", target: "/orders", status: 405 },
    ];
    expect(await faultsOf(engine.client, cases, refused)).toEqual([]);
  });
});
