import { randomBytes } from "node:crypto";
import { deadLetterTopic, groupName, topicName, topics } from "@pricing-engine/contracts";
import { eventually } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningOrders, startOrders } from "./support/engine.ts";
import { startWebhook, type Webhook } from "./support/webhook.ts";

const patience = { timeoutMs: 60_000, intervalMs: 100 };

describe("a webhook", { timeout: 240_000 }, () => {
  const secret = randomBytes(24);
  let webhook: Webhook;
  let orders: RunningOrders;
  beforeAll(async () => {
    webhook = await startWebhook(secret);
    const token = `whsec_${secret.toString("base64")}`;
    orders = await startOrders({
      env: { NOTIFICATION_WEBHOOK_URL: webhook.url, NOTIFICATION_WEBHOOK_TOKEN: token },
    });
    await orders.product("seat", null);
  });
  afterAll(async () => {
    await orders?.[Symbol.asyncDispose]();
    await webhook?.[Symbol.asyncDispose]();
  });

  const deliveriesOf = (orderId: string) => webhook.received.filter(({ id }) => id === orderId);

  it("is told of an order once, signed", async () => {
    const orderId = await orders.place("seat", 2);
    await orders.reaches(orderId, "notified");
    const [delivered, ...others] = deliveriesOf(orderId);
    expect(others).toEqual([]);
    expect(delivered).toMatchObject({
      isOurs: true,
      body: { type: "order.fulfilled", data: { order_id: orderId, customer_id: "c", total: "20.00", currency: "EUR" } },
    });
  });

  it.each([500, "reset"] as const)(
    "that answers %s is told three times; then the order stays fulfilled, and a dead letter delivers it after all",
    async (fault) => {
      webhook.answers(fault);
      const orderId = await orders.place("seat");
      await eventually(async () => (await orders.order(orderId)).notification === "failed", patience);
      const failed = await orders.order(orderId);
      expect(failed).toMatchObject({ status: "fulfilled", refund: "none", receipt_url: expect.any(String) });
      expect(failed.transitions.at(-1)).toMatchObject({ event: "notification_failed", to: "fulfilled" });
      expect(deliveriesOf(orderId).map(({ isOurs }) => isOurs)).toEqual([true, true, true]);

      const group = groupName(orders.prefix, "orders-notification");
      const topic = deadLetterTopic(topicName(orders.prefix, topics.orderNotification), group);
      await orders.idle();
      const letter = (await orders.deadLetters.show(topic)).find(({ key }) => key?.toString() === orderId);
      expect(letter).toMatchObject({ code: "notification_failed", attempts: 3, replayed: false });
      // A replay that fails again changes nothing, and has its letter again.
      expect(await orders.command("dlq", "replay", topic)).toMatchObject({ code: 0 });
      await eventually(() => expect(deliveriesOf(orderId)).toHaveLength(6), patience);
      await orders.idle();
      const letters = (await orders.deadLetters.show(topic)).filter(({ key }) => key?.toString() === orderId);
      expect(letters).toMatchObject([
        { replayed: true },
        { code: "notification_failed", attempts: 3, replayed: false },
      ]);
      expect(await orders.order(orderId)).toEqual(failed);
      expect(letter?.message).toContain(fault === 500 ? "the webhook answered 500" : "the webhook cannot be reached");

      webhook.answers(204);
      expect(await orders.command("dlq", "replay", topic)).toMatchObject({
        code: 0,
        output: expect.stringMatching(/^1 replayed/),
      });
      const told = await orders.reaches(orderId, "notified");
      expect(told.notification).toBe("sent");
      expect(deliveriesOf(orderId)).toHaveLength(7);
      // What is told is not told again, nor charged.
      await orders.command("dlq", "replay", topic, "--again");
      await orders.idle();
      expect(deliveriesOf(orderId)).toHaveLength(7);
      expect(await orders.order(orderId)).toEqual(told);
      const charges = (await orders.recorded()).filter((one) => one.correlationId === told.payment_id);
      expect(charges).toMatchObject([{ amountMinor: 1000, refunded: false }]);
    },
  );
});
