import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "@pricing-engine/testkit";
import { expect, it } from "vitest";
import { type OrderTale, readOrderSources } from "../audit/order-sources.ts";
import { auditOrders, isClean, renderOrderAudit } from "../audit/orders.ts";
import { startEngine } from "../support/engine.ts";
import { anOrder, endStates, place } from "../support/orders.ts";
import { configureProcessor } from "../support/processors.ts";

const count = 200;

it("cancels that race with charges, refunds and fulfilment leave money, stock and receipts as the states say", async () => {
  await using engine = await startEngine({
    payment: { routing: { maxHold: "1s" } },
    gateway: { rateLimit: { capacity: 10_000, refillPerSecond: 10_000 } },
    env: { "payment-worker": { PAYMENT_TIMEOUT_MS: "1500" } },
    orders: {},
  });
  const { client } = engine;
  await client.put("seat", { stock: 1_000 });
  // Some charges go to either processor, some end unknown: recorded, and not answered.
  await configureProcessor(engine, "default", "delay", { delay: 60 });
  await configureProcessor(engine, "default", "fault", { kind: "drop-after", share: 0.2 });
  const tales = new Map<string, OrderTale>();
  const charged = (orderId: string): Promise<unknown> =>
    eventually(
      async () => {
        const [row] = await engine.sql`
          select from orders.orders where order_id = ${orderId} and status not in ('placed', 'reserved')`;
        return row !== undefined;
      },
      { timeoutMs: 60_000 },
    );
  const breakDown = async (): Promise<void> => {
    await configureProcessor(engine, "default", "failure", { failure: true });
    // It comes back: a charge that it left without an answer is nobody else's, and would keep its order waiting for ever.
    await delay(5_000);
    await configureProcessor(engine, "default", "failure", { failure: false });
  };
  let breakdown: Promise<void> | undefined;
  const answers = await Promise.all(
    Array.from({ length: count }, async (_, nth) => {
      const order = anOrder("seat", { items: [{ product_id: "seat", quantity: 1 + (nth % 3) }] });
      await delay(Math.random() * 3_000);
      const { order_id } = await place(client, order);
      tales.set(String(order.idempotency_key), { told: "accepted", orderId: order_id });
      if (nth === count / 2) breakdown = breakDown();
      if (nth % 4 === 0) return { order_id, status: undefined };
      // Some as soon as they are charged, however long that takes on a busy machine; the others whenever it is.
      if (nth % 4 === 1) await charged(order_id);
      else await delay(Math.random() * 800);
      const { status } = await client.call("POST", `/orders/${order_id}/cancel`);
      return { order_id, status };
    }),
  );
  await breakdown;
  await configureProcessor(engine, "default", "fault", { kind: "none", share: 0 });

  const audit = async () =>
    auditOrders({
      tales,
      ...(await readOrderSources({
        sql: engine.sql,
        processors: [engine.urlOf("processor-default"), engine.urlOf("processor-fallback")],
        receiptsFolder: engine.receiptsFolder,
        initial: new Map([["seat", 1_000]]),
      })),
    });
  await eventually(async () => expect((await audit()).faults).toMatchObject({ unended: [], receipts: [] }), {
    timeoutMs: 120_000,
    intervalMs: 500,
  });
  const found = await audit();
  expect(isClean(found), renderOrderAudit(found)).toBe(true);

  const rows = await engine.sql<{ order_id: string; status: string; refund: string }[]>`
    select order_id, status, refund from orders.orders`;
  const stateOf = new Map(rows.map((row) => [row.order_id, row]));
  // 202 means that it is cancelled, 409 that it was fulfilled: whoever was asked first has decided.
  for (const { order_id, status } of answers) {
    const due = status === 202 ? ["cancelled"] : status === 409 ? ["notified"] : endStates;
    expect(due, `${order_id} was answered ${status}`).toContain(stateOf.get(order_id)?.status);
  }
  const outcomes = new Set(rows.map((row) => `${row.status} ${row.refund}`));
  expect(outcomes).toEqual(new Set(["notified none", "cancelled none", "cancelled done"]));
});
