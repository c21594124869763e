import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { deadLetterTopic, groupName, topicName, topics } from "@pricing-engine/contracts";
import { eventually } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningOrders, startOrders } from "./support/engine.ts";
import { type Store, startStore } from "./support/store.ts";

const patience = { timeoutMs: 60_000, intervalMs: 100 };

describe("a receipt that cannot be written", { timeout: 240_000 }, () => {
  let orders: RunningOrders;
  let store: Store;
  let stage: Awaited<ReturnType<RunningOrders["start"]>>;
  beforeAll(async () => {
    store = await startStore();
    orders = await startOrders({ run: ["inventory", "payment", "notification"] });
    stage = await orders.start("fulfillment", store.env);
    await orders.product("seat", 100);
  });
  afterAll(async () => {
    await orders?.[Symbol.asyncDispose]();
    await store?.[Symbol.asyncDispose]();
  });

  const inventory = async () => (await orders.call("GET", "/api/v1/inventory/seat")).body;
  const eventsOf = async (orderId: string) => (await orders.order(orderId)).transitions.map(({ event }) => event);
  const recordOf = async (paymentId: string | null) =>
    (await orders.recorded())
      .filter(({ correlationId }) => correlationId === paymentId)
      .map(({ amountMinor, refunded }) => ({ amountMinor, refunded }));
  const letterTopic = () =>
    deadLetterTopic(topicName(orders.prefix, topics.orderFulfillment), groupName(orders.prefix, "orders-fulfillment"));

  it("by its order's own fault, three times: refunded, released, cancelled, a dead letter whose replay changes nothing", async () => {
    store.is("refuses");
    const orderId = await orders.place("seat", 3);
    const cancelled = await orders.reaches(orderId, "cancelled");
    expect(await eventsOf(orderId)).toEqual([
      "order_placed",
      "stock_reserved",
      "charge_settled",
      "fulfilment_failed",
      "fulfilment_failed",
      "fulfilment_failed",
      "refund_done",
    ]);
    const reason = "the receipt store: InvalidRequest";
    expect(cancelled).toMatchObject({ refund: "done", reason, receipt_url: null, notification: "pending" });
    expect(await recordOf(cancelled.payment_id)).toEqual([{ amountMinor: 3000, refunded: true }]);
    expect(await inventory()).toEqual({ stock: 100, reserved: 0 });

    const letters = await orders.deadLetters.show(letterTopic());
    expect(letters.map(({ key, code, message, attempts }) => [key?.toString(), code, message, attempts])).toEqual([
      [orderId, "receipt_refused", reason, 3],
    ]);
    const listed = await orders.command("dlq", "list");
    expect(listed.output).toContain(`${letterTopic()}  1 letters, 0 replayed  last: receipt_refused`);

    store.is("well");
    expect(await orders.command("dlq", "replay", letterTopic())).toMatchObject({ code: 0, output: "1 replayed\n" });
    await orders.idle();
    expect(await orders.order(orderId)).toEqual(cancelled);
    expect(await recordOf(cancelled.payment_id)).toEqual([{ amountMinor: 3000, refunded: true }]);
    expect(store.objects.size).toBe(0);
    expect(await inventory()).toEqual({ stock: 100, reserved: 0 });
    // And again, at any age.
    expect((await orders.command("dlq", "replay", letterTopic(), "--again")).output).toBe("1 replayed\n");
    await orders.idle();
    expect(await orders.order(orderId)).toEqual(cancelled);
    expect(await orders.deadLetters.show(letterTopic())).toHaveLength(1);
  });

  it.each(["full", "quota", "hangs", "away"] as const)(
    "while the store is %s waits, and holds up no other stage",
    async (state) => {
      store.is(state);
      const ids = await Promise.all(Array.from({ length: 5 }, () => orders.place("seat")));
      await Promise.all(ids.map((id) => orders.reaches(id, "paid")));
      // It was tried, and is nobody's fault.
      const before = await outagesOf(stage);
      await eventually(async () => (await outagesOf(stage)) > before, patience);
      expect((await inventory()).reserved).toBe(5);
      store.is("well");
      for (const id of ids) {
        const order = await orders.reaches(id, "notified");
        expect(await eventsOf(id)).not.toContain("fulfilment_failed");
        expect(store.objects.get(new URL(order.receipt_url ?? "").pathname)).toContain(id);
      }
      expect(await orders.deadLetters.show(letterTopic())).toHaveLength(1);
    },
  );

  it("for a reason that nobody thought of ends the order all the same", async () => {
    store.is("away");
    const orderId = await orders.place("seat");
    const { payment_id } = await orders.reaches(orderId, "paid");
    // More than can be counted exactly: making the receipt throws.
    await orders.pool
      .sql`update orders.order_items set unit_price_minor = 9007199254740993 where order_id = ${orderId}`;
    await eventually(async () => {
      const [row] = await orders.pool.sql`select status, refund, reason from orders.orders where order_id = ${orderId}`;
      expect({ ...row }).toEqual({ status: "cancelled", refund: "done", reason: "the receipt cannot be made" });
    }, patience);
    // Not before: a try that had read the lines as they were would write their receipt.
    store.is("well");
    expect(await recordOf(payment_id)).toEqual([{ amountMinor: 1000, refunded: true }]);
    await orders.idle();
    expect((await orders.deadLetters.show(letterTopic())).map(({ key }) => key?.toString())).toContain(orderId);
  });

  it("because its directory is not there waits, too, and goes on when it is", async () => {
    await stage.stop();
    // A file where the directory should be: nobody, root included, writes below it.
    const place = join(orders.receipts, "..", "in-the-way");
    await writeFile(place, "");
    await using inDirectory = await orders.start("fulfillment", { RECEIPTS_DIRECTORY: place });
    const id = await orders.place("seat");
    await orders.reaches(id, "paid");
    await eventually(async () => (await outagesOf(inDirectory)) > 0, patience);
    await rm(place);
    // The stage may be quicker: it makes what is missing.
    await mkdir(place, { recursive: true });
    const order = await orders.reaches(id, "notified");
    expect(order.receipt_url).toMatch(new RegExp(`^file:.*/in-the-way/\\d{4}/\\d{2}/${id}\\.html$`));
    expect(await eventsOf(id)).not.toContain("fulfilment_failed");
  });
});

/** Tries of a stage that met an outage. */
async function outagesOf({ metricsPort }: { metricsPort: number }): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const counts = text.matchAll(/^pricing_engine_kafka_messages_total\{.*outcome="outage".*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}
