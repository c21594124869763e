import { deadLetterTopic, groupName, topicName, topics } from "@pricing-engine/contracts";
import { eventually } from "@pricing-engine/testkit";
import { describe, expect, it } from "vitest";
import { type RunningOrders, startOrders } from "./support/engine.ts";

const patience = { timeoutMs: 60_000, intervalMs: 50 };
/** No call ends for its time alone: what came of it would be unknown, and such a charge neither expires nor goes elsewhere. */
const slowCalls = { PAYMENT_TIMEOUT_MS: "60000" };
/** The deadline of a charge that must succeed: not over before the test itself gives up. */
const ampleMs = patience.timeoutMs;

const eventsOf = async (orders: RunningOrders, orderId: string) =>
  (await orders.order(orderId)).transitions.map(({ event }) => event);

describe("a charge whose deadline passes", { timeout: 240_000 }, () => {
  it("while both processors are down, or nobody charges, is never made: the order fails and gives its stock back", async () => {
    await using orders = await startOrders({
      orders: { stateTimeoutMs: 4_000 },
      run: ["payment"],
      paymentWorker: false,
      env: slowCalls,
    });
    const inventory = await orders.start("inventory");
    await orders.product("seat", 10);
    const { processors } = orders;
    await Promise.all([processors.default.set("failure", true), processors.fallback.set("failure", true)]);
    const unasked = await orders.place("seat", 2);
    const { transitions } = await orders.reaches(unasked, "reserved");
    // Only the payment service ends a charge: past its deadline the order still waits for it.
    const missedAtMs = Date.parse(transitions.at(-1)?.at ?? "") + 4_000;
    await eventually(() => Date.now() > missedAtMs + 3_000, patience);
    expect(await orders.order(unasked)).toMatchObject({ status: "reserved", payment_id: null });

    await orders.startPaymentWorker();
    const tried = await orders.place("seat", 3);
    for (const id of [unasked, tried]) {
      const order = await orders.reaches(id, "payment_failed");
      expect(order).toMatchObject({ refund: "none", reason: "charge_expired", receipt_url: null });
    }
    const levels = await orders.call("GET", "/api/v1/inventory/seat");
    expect(levels.body).toEqual({ stock: 10, reserved: 0 });

    await Promise.all([processors.default.set("failure", false), processors.fallback.set("failure", false)]);
    await orders.idle();
    // Longer than the others had: that a processor is back is found out by a payment every few seconds.
    await inventory.stop();
    await orders.startInventory(ampleMs);
    const late = await orders.place("seat");
    await orders.reaches(late, "paid");
    expect(await orders.recorded()).toMatchObject([{ correlationId: (await orders.order(late)).payment_id }]);
  });
});

describe("the sweeper", { timeout: 240_000 }, () => {
  it("asks again for what was lost on its way to a stage", async () => {
    await using orders = await startOrders({ orders: { stateTimeoutMs: 4_000 }, run: ["payment"] });
    await orders.product("seat", 10);
    const orderId = await orders.place("seat");
    for (const [stage, reached] of [
      ["inventory", "paid"],
      ["fulfillment", "fulfilled"],
      ["notification", "notified"],
    ] as const) {
      const loser = orders.lose(stage);
      await eventually(() => loser.lost() > 0, patience);
      await loser.stop();
      await (stage === "inventory" ? orders.startInventory(ampleMs) : orders.start(stage));
      await orders.reaches(orderId, reached);
    }
    expect(await eventsOf(orders, orderId)).toEqual([
      "order_placed",
      "stock_reserved",
      "charge_settled",
      "fulfilment_succeeded",
      "notification_sent",
    ]);
    expect(await orders.recorded()).toHaveLength(1);
    expect((await orders.call("GET", "/api/v1/inventory/seat")).body).toEqual({ stock: 9, reserved: 0 });
  });

  it("hears again how a charge went whose end was lost, past its deadline, and charges nothing twice", async () => {
    await using orders = await startOrders({
      orders: { stateTimeoutMs: 4_000 },
      run: ["fulfillment", "notification"],
      env: slowCalls,
    });
    await orders.product("seat", 10);
    // The charge stays in the air until the stage is taken away.
    const processors = Object.values(orders.processors);
    await Promise.all(processors.map((processor) => processor.set("hold", true)));
    const [stage] = await Promise.all([orders.start("payment"), orders.startInventory(20_000)]);
    const orderId = await orders.place("seat");
    await eventually(async () => {
      const [row] = await orders.pool.sql<{ state: string }[]>`select state from payment.payments`;
      return row?.state === "sending";
    }, patience);
    await stage.kill();
    await Promise.all(processors.map((processor) => processor.set("hold", false)));
    const loser = orders.lose("payment");
    await eventually(() => loser.lost(topics.paymentEvents) > 0, { timeoutMs: 60_000 });
    await loser.stop();
    expect(await orders.recorded()).toHaveLength(1);
    expect((await orders.order(orderId)).status).toBe("reserved");

    await orders.start("payment");
    await orders.reaches(orderId, "notified");
    expect(await orders.recorded()).toMatchObject([{ amountMinor: 1000, refunded: false }]);
  });
});

describe("a reservation that fails through a fault of the service", { timeout: 240_000 }, () => {
  it("ends its order after three attempts, with a dead letter, and no other order of its batch", async () => {
    await using orders = await startOrders({
      orders: { stateTimeoutMs: 4_000 },
      run: ["payment", "fulfillment", "notification"],
    });
    await orders.startInventory(ampleMs);
    await Promise.all([orders.product("cursed", 10), orders.product("seat", 10)]);
    const { sql } = orders.pool;
    await sql`
      create function orders.curse() returns trigger language plpgsql as
      $$ begin if new.product_id = 'cursed' then raise exception 'cursed'; end if; return new; end $$`;
    await sql`create trigger curse before insert on orders.reservations for each row execute function orders.curse()`;

    const [cursed, ...others] = await Promise.all(["cursed", "seat", "seat"].map((id) => orders.place(id)));
    const order = await orders.reaches(cursed ?? "", "rejected");
    expect(order).toMatchObject({ reason: "the stock cannot be reserved", refund: "none" });
    expect(await eventsOf(orders, order.order_id)).toEqual(["order_placed", "reservation_failed"]);
    for (const id of others) await orders.reaches(id, "notified");
    expect((await orders.call("GET", "/api/v1/inventory/cursed")).body).toEqual({ stock: 10, reserved: 0 });
    await orders.idle();
    const topic = topicName(orders.prefix, topics.orderInventory);
    const letters = await orders.deadLetters.show(deadLetterTopic(topic, groupName(orders.prefix, "orders-inventory")));
    expect(letters.map(({ key, code, attempts }) => [key?.toString(), code, attempts])).toEqual([
      [order.order_id, "internal", 3],
    ]);

    // Repaired and replayed: what has ended stays so.
    await sql`drop trigger curse on orders.reservations`;
    await orders.command("dlq", "replay", deadLetterTopic(topic, groupName(orders.prefix, "orders-inventory")));
    await orders.idle();
    expect((await orders.order(order.order_id)).status).toBe("rejected");
  });

  it("that cannot even be given up shows as stuck, and goes on once the fault is mended", async () => {
    await using orders = await startOrders({ orders: { stateTimeoutMs: 4_000 }, run: [] });
    const [sweeper] = await Promise.all([orders.start("payment"), orders.startInventory(ampleMs)]);
    await orders.product("seat", 10);
    const { sql } = orders.pool;
    await sql`create function orders.curse() returns trigger language plpgsql as $$ begin raise exception 'cursed'; end $$`;
    await sql`create trigger curse before update of status on orders.orders for each row execute function orders.curse()`;
    const orderId = await orders.place("seat");
    await eventually(async () => {
      expect(await (await fetch(`http://127.0.0.1:${sweeper.metricsPort}/metrics`)).text()).toContain(
        'pricing_engine_orders_stuck{status="placed"} 1',
      );
    }, patience);
    await sql`drop trigger curse on orders.orders`;
    await orders.reaches(orderId, "paid");
  });
});
