import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningOrders, startOrders } from "./support/engine.ts";

describe("a cancel", { timeout: 240_000 }, () => {
  let orders: RunningOrders;
  /** Never cancelled, in the way of the others. */
  let kept = "";
  // Stages are started one after another, so that each order stays where the test wants it.
  beforeAll(async () => {
    orders = await startOrders({ run: [], paymentWorker: false });
    await orders.product("seat", 100);
    await orders.product("rare", 0);
  });
  afterAll(() => orders?.[Symbol.asyncDispose]());

  const cancel = (orderId: string) => orders.call("POST", `/orders/${orderId}/cancel`);
  const cancelled = (status: string) =>
    expect.objectContaining({ status: 202, body: expect.objectContaining({ status }) });
  const tooLate = expect.objectContaining({ status: 409, body: expect.objectContaining({ code: "order_too_late" }) });
  const inventory = async () => (await orders.call("GET", "/api/v1/inventory/seat")).body;
  const recordOf = async (orderId: string) => {
    const { payment_id } = await orders.order(orderId);
    const recorded = await orders.recorded();
    return recorded.flatMap((one) => (one.correlationId === payment_id ? [{ refunded: one.refunded }] : []));
  };

  it("of a placed order ends it there and then, and what was asked for it finds nothing to do", async () => {
    const orderId = await orders.place("seat");
    expect(await cancel(orderId)).toEqual(cancelled("cancelled"));
    expect(await cancel(orderId)).toEqual(cancelled("cancelled"));
    await orders.start("inventory");
    await orders.start("payment");
    kept = await orders.place("seat");
    await orders.reaches(kept, "reserved");
    expect(await orders.order(orderId)).toMatchObject({
      status: "cancelled",
      refund: "none",
      reason: "cancelled by request",
    });
    expect(await inventory()).toEqual({ stock: 99, reserved: 1 });
  });

  it("of a reserved one keeps its stock until the payment service says that it was not charged", async () => {
    const orderId = await orders.place("seat", 2);
    await orders.reaches(orderId, "reserved");
    expect(await cancel(orderId)).toEqual(cancelled("cancelling"));
    expect(await cancel(orderId)).toEqual(cancelled("cancelling"));
    expect(await inventory()).toEqual({ stock: 97, reserved: 3 });
    // Charge and cancel are two topics: whichever the worker reads first, no processor takes anything meanwhile.
    const processors = Object.values(orders.processors);
    await Promise.all(processors.map((processor) => processor.set("failure", true)));
    await orders.startPaymentWorker();
    expect(await orders.reaches(orderId, "cancelled")).toMatchObject({ refund: "none" });
    await Promise.all(processors.map((processor) => processor.set("failure", false)));
    await orders.reaches(kept, "paid");
    expect(await recordOf(orderId)).toEqual([]);
    expect(await inventory()).toEqual({ stock: 99, reserved: 1 });
  });

  it("of a paid one refunds it first; without refunds at its processor that is left to people", async () => {
    const [refunded, manual] = [await orders.place("seat"), await orders.place("seat")];
    for (const id of [refunded, manual]) await orders.reaches(id, "paid");
    expect(await cancel(refunded)).toEqual(cancelled("cancelling"));
    expect(await orders.reaches(refunded, "cancelled")).toMatchObject({ refund: "done" });
    expect(await recordOf(refunded)).toEqual([{ refunded: true }]);
    await Promise.all(Object.values(orders.processors).map((processor) => processor.set("refunds", false)));
    expect(await cancel(manual)).toEqual(cancelled("cancelling"));
    expect(await orders.reaches(manual, "cancelled")).toMatchObject({ refund: "manual" });
    expect(await recordOf(manual)).toEqual([{ refunded: false }]);
    expect(await inventory()).toEqual({ stock: 99, reserved: 1 });
  });

  it("of a fulfilled, a notified or a rejected one comes too late", async () => {
    await orders.start("fulfillment");
    const orderId = await orders.place("seat");
    await orders.reaches(orderId, "fulfilled");
    expect(await cancel(orderId)).toEqual(tooLate);
    await orders.start("notification");
    const notified = await orders.reaches(orderId, "notified");
    expect(await cancel(orderId)).toEqual(tooLate);
    expect(await orders.order(orderId)).toEqual(notified);
    const rejected = await orders.place("rare");
    await orders.reaches(rejected, "rejected");
    expect(await cancel(rejected)).toEqual(tooLate);
    await orders.idle();
    expect(await inventory()).toEqual({ stock: 98, reserved: 0 });
    // Those that were cancelled have no receipt, whatever was asked of the stage before.
    const receipts = await readdir(orders.receipts, { recursive: true });
    expect(receipts.filter((name) => name.endsWith(".json"))).toHaveLength(2);
  });
});
