import { eventually, watchSessionSetting } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningOrders, startOrders } from "./support/engine.ts";

describe("an order from the request to the notification", { timeout: 240_000 }, () => {
  let orders: RunningOrders;
  beforeAll(async () => {
    orders = await startOrders();
  });
  afterAll(async () => {
    await orders[Symbol.asyncDispose]();
  });

  const body = (more: Record<string, unknown> = {}) => ({
    customer_id: "customer-7",
    items: [{ product_id: "PROD-001", quantity: 2 }],
    ...more,
  });

  it("is reserved, charged, given a receipt and told of, in one trace", async () => {
    await orders.product("PROD-001", 100);
    const placed = await orders.call("POST", "/orders", body({ idempotency_key: "first" }));
    expect(placed).toMatchObject({ status: 202, body: { status: "placed", total: "20.00", idempotency_key: "first" } });
    const orderId = String(placed.body.order_id);
    // Readable as soon as the answer is out.
    expect((await orders.order(orderId)).items).toMatchObject([{ product_id: "PROD-001", quantity: 2 }]);
    const order = await orders.reaches(orderId, "notified");
    expect(order.transitions.map(({ to, event }) => `${event} ${to}`)).toEqual([
      "order_placed placed",
      "stock_reserved reserved",
      "charge_settled paid",
      "fulfilment_succeeded fulfilled",
      "notification_sent notified",
    ]);
    expect(new Set(order.transitions.map(({ trace_id }) => trace_id)).size).toBe(1);
    expect(order).toMatchObject({ total: "20.00", refund: "none", notification: "sent" });
    expect(order.receipt_url).toMatch(/^file:.*\.html$/);
    expect((await orders.recorded()).map(({ correlationId, amountMinor }) => [correlationId, amountMinor])).toEqual([
      [order.payment_id, 2000],
    ]);
    const inventory = await orders.call("GET", "/api/v1/inventory/PROD-001");
    expect(inventory.body).toEqual({ stock: 98, reserved: 0 });
    const { output } = await orders.command("trace", orderId);
    expect(output).toContain("charge_settled");
    expect(output).toContain(order.transitions[0]?.trace_id ?? "no trace");
  });

  it("is looked up by key, in the connections of each part that moves it", async () => {
    const seen = await watchSessionSetting(orders.pool.sql, {
      ...{ setting: "enable_seqscan", table: "orders.order_transitions", on: "insert" },
    });
    await orders.product("keyed", 1);
    await orders.reaches(await orders.place("keyed"), "notified");
    const settings = await seen();
    expect(Object.keys(settings).length).toBeGreaterThan(1);
    expect(new Set(Object.values(settings).flat())).toEqual(new Set(["off"]));
  });

  it.each([
    [["ord_01930a2b-7c4d-7e8f-9a0b-1c2d3e4f5a6b"], 1, "there is no order ord_01930a2b-7c4d-7e8f-9a0b-1c2d3e4f5a6b"],
    [["cart-4711"], 1, "there is no order cart-4711: the id of an order begins with ord_"],
    [[], 2, "usage: trace ORDER_ID"],
    [["ord_1", "ord_2"], 2, "usage: trace ORDER_ID"],
  ])("is not told of by trace %j", async (args, code, output) => {
    expect(await orders.command("trace", ...args)).toEqual({ code, output: `${output}\n` });
  });

  it("is placed once by 50 concurrent repeats of one key, and answered the same", async () => {
    const before = (await orders.recorded()).length;
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => orders.call("POST", "/orders", body(), { "idempotency-key": "repeated" })),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    const ids = new Set(answers.map((answer) => String(answer.body.order_id)));
    expect(ids.size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get("idempotent-replayed") === "true")).toHaveLength(49);
    const [id = ""] = ids;
    await orders.reaches(id, "notified");
    expect((await orders.recorded()).length).toBe(before + 1);

    const withTokens = (tokens: string) =>
      orders.call("POST", "/orders", body(), { "idempotency-key": "with tokens", "x-tokens-remaining": tokens });
    const first = await withTokens("5");
    expect(first.body.tokens_remaining).toBe(5);
    expect((await withTokens("3")).body).toEqual(first.body);
    await orders.reaches(String(first.body.order_id), "notified");

    const field = await orders.call("POST", "/orders", body({ idempotency_key: "repeated" }));
    expect(field).toMatchObject({ status: 409, body: { code: "order_exists", existing_order_id: id } });
    const other = await orders.call("POST", "/orders", body({ customer_id: "another" }), {
      "idempotency-key": "repeated",
    });
    expect(other).toMatchObject({ status: 422, body: { code: "idempotency_mismatch" } });
    const state = await orders.call("POST", "/orders", { action: "check_idempotency", idempotency_key: "repeated" });
    expect(state).toMatchObject({ status: 200, body: { exists: true, order_id: id, status: "notified" } });
    const unknown = await orders.call("POST", "/orders", { action: "check_idempotency", idempotency_key: "unknown" });
    expect(unknown.body).toEqual({ exists: false });
  });

  it("is sold until the stock ends: 10 of 200, and the others are charged nothing", async () => {
    await orders.product("scarce", 10);
    const before = new Set((await orders.recorded()).map(({ correlationId }) => correlationId));
    const ids = await Promise.all(Array.from({ length: 200 }, () => orders.place("scarce")));
    await eventually(async () => (await orders.counts()).rejected === 190, { timeoutMs: 60_000, intervalMs: 200 });
    const ends = await Promise.all(ids.map((id) => orders.reaches(id, "notified", "rejected")));
    expect(ends.filter(({ status }) => status === "notified")).toHaveLength(10);
    expect(ends.filter(({ reason }) => reason === "out of stock: scarce")).toHaveLength(190);
    const charged = (await orders.recorded()).filter(({ correlationId }) => !before.has(correlationId));
    const sold = ends.filter(({ status }) => status === "notified").map(({ payment_id }) => payment_id);
    expect(charged.map(({ correlationId }) => correlationId).sort()).toEqual(sold.sort());
    expect((await orders.call("GET", "/api/v1/inventory/scarce")).body).toEqual({ stock: 0, reserved: 0 });
  });

  it("costs nothing when it is free", async () => {
    await orders.product("gift", null, "0.00");
    const before = (await orders.recorded()).length;
    const order = await orders.reaches(await orders.place("gift"), "notified");
    expect(order.total).toBe("0.00");
    expect((await orders.recorded()).length).toBe(before);
  });

  it("pays the price of the decision that it names, and no price that differs", async () => {
    await orders.product("moving", null);
    const decided = await orders.pricing("POST", "/api/v1/price", { product_id: "moving" });
    const put = { name: "Moving", base_price: "12.00", currency: "EUR" };
    expect((await orders.pricing("PUT", "/api/v1/products/moving", put)).status).toBe(200);
    const line = { product_id: "moving", quantity: 3 };
    const place = (more: Record<string, unknown>, key: string) =>
      orders.call("POST", "/orders", { customer_id: "c", items: [{ ...line, ...more }] }, { "idempotency-key": key });
    expect((await place({ decision_id: decided.body.decision_id }, "decided")).body.total).toBe("30.00");
    expect(await place({ price: 10 }, "differs")).toMatchObject({
      status: 422,
      body: { code: "price_differs", current_prices: [{ product_id: "moving", price: "12.00" }] },
    });
    // What is refused uses no key.
    expect(await place({ price: 12 }, "differs")).toMatchObject({ status: 202, body: { total: "36.00" } });
    const forged = await place({ decision_id: `${String(decided.body.decision_id)}x` }, "forged");
    expect(forged).toMatchObject({ status: 422, body: { code: "decision_unusable" } });
    const nope = { customer_id: "c", items: [{ product_id: "nope", quantity: 1 }] };
    const unknown = await orders.call("POST", "/orders", nope, { "idempotency-key": "nope" });
    expect(unknown).toMatchObject({ status: 422, body: { code: "unknown_product" } });
  });

  it("is listed newest first, in pages, by tenant and status", async () => {
    const ids: string[] = [];
    for (let index = 0; index < 3; index += 1) ids.push(await orders.place("gift", 1, { tenant_id: "acme" }));
    const list = (query: string, headers: Record<string, string> = {}) =>
      orders.call("GET", `/orders?${query}`, undefined, headers);
    const first = await list("tenant_id=acme&limit=2");
    const idsOf = ({ body: { orders: page } }: Awaited<ReturnType<typeof list>>) =>
      (page as { order_id: string }[]).map(({ order_id }) => order_id);
    expect(idsOf(first)).toEqual([ids[2], ids[1]]);
    const second = await list(`tenant_id=acme&limit=2&cursor=${String(first.body.next_cursor)}`);
    expect([idsOf(second), second.body.next_cursor]).toEqual([[ids[0]], null]);
    const keyed = { "x-auth-mode": "apiKey", "x-tenant": "other" };
    expect(idsOf(await list("limit=500", keyed))).toEqual([]);
    expect((await orders.call("GET", `/orders/${ids[0]}`, undefined, keyed)).status).toBe(404);
    expect((await orders.call("POST", `/orders/${ids[0]}/cancel`, undefined, keyed)).status).toBe(404);
    expect((await list("status=rejected&limit=500")).status).toBe(200);
    expect((await list("status=lost")).status).toBe(400);
    expect((await list("cursor=bm90aGluZw")).status).toBe(400);
    const backwards = await list("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z");
    expect(backwards).toMatchObject({ status: 400, body: { errors: [{ pointer: "?to" }] } });
  });

  it("belongs to a tenant of any name, with keys and without", async () => {
    const tenant = "株式会社 é/%";
    const headers = { "x-auth-mode": "apiKey", "x-tenant": encodeURIComponent(tenant) };
    const byKey = await orders.call("POST", "/orders", body({ idempotency_key: "any name" }), headers);
    expect(byKey.status).toBe(202);
    const named = await orders.call("POST", "/orders", body({ idempotency_key: "other", tenant_id: tenant }));
    for (const { body: placed } of [byKey, named]) {
      const read = await orders.call("GET", `/orders/${placed.order_id}`, undefined, headers);
      expect(read).toMatchObject({ status: 200, body: { tenant_id: tenant } });
    }
  });

  it("changes stock by deltas and compare-and-set", async () => {
    await orders.product("shelf", 5);
    const put = (change: unknown) => orders.call("PUT", "/api/v1/inventory/shelf", change);
    expect((await orders.call("GET", "/api/v1/inventory/shelf")).body).toEqual({ stock: 5, reserved: 0 });
    expect(await put({ delta: 3 })).toMatchObject({ status: 200, body: { stock: 8, reserved: 0 } });
    expect(await put({ delta: -9 })).toMatchObject({ status: 409, body: { code: "stock_differs", stock: 8 } });
    expect(await put({ stock: 20, expected: 7 })).toMatchObject({ status: 409 });
    expect(await put({ stock: 20, expected: 8 })).toMatchObject({ status: 200, body: { stock: 20, reserved: 0 } });
    expect((await put({ stock: -1, expected: 8 })).status).toBe(400);
    expect(await put({ delta: 2_147_483_647 })).toMatchObject({
      status: 409,
      body: { code: "stock_differs", stock: 20 },
    });
    expect((await orders.call("GET", "/api/v1/inventory/nope")).status).toBe(404);
    const deltas = await Promise.all(Array.from({ length: 40 }, () => put({ delta: -1 })));
    expect(deltas.filter(({ status }) => status === 200)).toHaveLength(20);
    expect((await orders.call("GET", "/api/v1/inventory/shelf")).body).toEqual({ stock: 0, reserved: 0 });
  });

  it("changes stock once for a key, however often it is sent", async () => {
    await orders.product("keyed-shelf", 5);
    const put = (headers: Record<string, string>, delta = 3) =>
      orders.call("PUT", "/api/v1/inventory/keyed-shelf", { delta }, headers);
    const key = { "idempotency-key": "delivery-7" };
    const answers = await Promise.all(Array.from({ length: 10 }, () => put(key)));
    expect(new Set(answers.map(({ status, body }) => JSON.stringify([status, body])))).toEqual(
      new Set([JSON.stringify([200, { stock: 8, reserved: 0 }])]),
    );
    // Refused ones claim no key.
    expect((await put({ "idempotency-key": "delivery-8" }, -9)).status).toBe(409);
    expect((await put({ "idempotency-key": "delivery-8" })).body).toEqual({ stock: 11, reserved: 0 });
    expect((await put({ ...key, "x-tenant": "other" })).body).toEqual({ stock: 14, reserved: 0 });
    expect((await put({ "idempotency-key": "k".repeat(256) })).status).toBe(400);
    expect((await put(key)).body).toEqual({ stock: 14, reserved: 0 });
  });

  it("can be cancelled until it is fulfilled", async () => {
    const orderId = await orders.place("gift");
    await orders.reaches(orderId, "notified");
    expect(await orders.call("POST", `/orders/${orderId}/cancel`)).toMatchObject({
      status: 409,
      body: { code: "order_too_late" },
    });
    expect((await orders.call("POST", "/orders/ord_nope/cancel")).status).toBe(404);
  });
});
