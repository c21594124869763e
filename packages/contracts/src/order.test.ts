import { describe, expect, it } from "vitest";
import { inventoryInput, orderListQuery, ordersRequest } from "./order.ts";

const line = { product_id: "PROD-001", quantity: 1 };
const order = { customer_id: "c", items: [line], idempotency_key: "k" };

describe("ordersRequest", () => {
  it.each([
    ["without an action", order],
    ["with its action", { ...order, action: "place_order" }],
    ["with fields nobody knows", { ...order, colour: "red", items: [{ ...line, price: 10.01, size: "L" }] }],
  ])("places an order %s", (_name, body) => {
    expect(ordersRequest.safeParse(body).success).toBe(true);
  });

  it("takes the other actions", () => {
    expect(ordersRequest.parse({ action: "check_rate_limit" })).toEqual({ action: "check_rate_limit" });
    expect(ordersRequest.safeParse({ action: "check_idempotency", idempotency_key: "k" }).success).toBe(true);
  });

  it.each([
    ["another action", { ...order, action: "drop" }],
    ["no items", { ...order, items: [] }],
    ["a quantity of 0", { ...order, items: [{ ...line, quantity: 0 }] }],
    ["a quantity of 1.5", { ...order, items: [{ ...line, quantity: 1.5 }] }],
    ["a quantity above 1,000,000", { ...order, items: [{ ...line, quantity: 1_000_001 }] }],
    ["a price below 0", { ...order, items: [{ ...line, price: -0.01 }] }],
    ["a price of 3 decimals", { ...order, items: [{ ...line, price: 1.001 }] }],
    ["a price as text", { ...order, items: [{ ...line, price: "1" }] }],
    ["an empty key", { ...order, idempotency_key: "" }],
    ["a key of 256 characters", { ...order, idempotency_key: "k".repeat(256) }],
    ["U+0000 in an id", { ...order, customer_id: "a\u0000" }],
    ["no customer", { items: [line], idempotency_key: "k" }],
    ["no object", 7],
  ])("refuses %s", (_name, body) => {
    expect(ordersRequest.safeParse(body).success).toBe(false);
  });
});

describe("orderListQuery", () => {
  it.each([
    // Offsets and fractions that RFC 3339 has and Postgres does not read.
    ["2026-01-01T00:00:00+23:00", "2025-12-31T01:00:00.000Z"],
    [`2026-01-01T00:00:00.${"0".repeat(200)}Z`, "2026-01-01T00:00:00.000Z"],
  ])("takes %s", (from, utc) => {
    expect(orderListQuery.parse({ from, to: from })).toEqual({ from: utc, to: utc });
  });

  it.each(["0000-01-01T00:00:00Z", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-00:01", "2026-01-01"])(
    "refuses %s",
    (time) => {
      expect(orderListQuery.safeParse({ from: time }).success).toBe(false);
      expect(orderListQuery.safeParse({ to: time }).success).toBe(false);
    },
  );
});

it("orderListQuery refuses a window that ends before it begins", () => {
  const window = (from: string, to: string) => orderListQuery.safeParse({ from, to }).error?.issues[0]?.path;
  expect(window("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z")).toBeUndefined();
  expect(window("2026-01-31T12:00:00+01:00", "2026-01-31T11:00:00Z")).toBeUndefined();
  expect(window("2026-01-31T12:00:00.001Z", "2026-01-31T12:00:00Z")).toEqual(["to"]);
  expect(window("2026-01-31T12:00:00Z", "2026-01-31T12:59:59+01:00")).toEqual(["to"]);
});

describe("inventoryInput", () => {
  it.each([{ delta: -3 }, { stock: 4, expected: 5 }])("takes %j", (body) => {
    expect(inventoryInput.parse(body)).toEqual(body);
  });

  it.each([{}, { delta: 1.5 }, { stock: -1, expected: 0 }, { stock: 1 }, { delta: 1, stock: 1, expected: 1 }])(
    "refuses %j",
    (body) => {
      expect(inventoryInput.safeParse(body).success).toBe(false);
    },
  );
});
