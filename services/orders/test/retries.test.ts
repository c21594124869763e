import { deadLetterTopic, groupName, topicName, topics } from "@pricing-engine/contracts";
import { eventually } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningOrders, startOrders } from "./support/engine.ts";
import { type Store, startStore } from "./support/store.ts";
import { startWebhook, type Webhook } from "./support/webhook.ts";

const patience = { timeoutMs: 60_000, intervalMs: 100 };

describe("how often a stage tries, changed while it runs", { timeout: 240_000 }, () => {
  let store: Store;
  let webhook: Webhook;
  let orders: RunningOrders;
  beforeAll(async () => {
    store = await startStore();
    webhook = await startWebhook(Buffer.alloc(24, 7));
    const env = { ...store.env, NOTIFICATION_WEBHOOK_URL: webhook.url };
    // So few that a stage which kept what it began with would not even read the copies that come again.
    orders = await startOrders({ orders: { retries: 1 }, env });
    await orders.product("seat", null);
  });
  afterAll(async () => {
    await orders?.[Symbol.asyncDispose]();
    await webhook?.[Symbol.asyncDispose]();
    await store?.[Symbol.asyncDispose]();
  });

  const lettersOf = async (stage: "fulfillment" | "notification", orderId: string) => {
    const topic = stage === "fulfillment" ? topics.orderFulfillment : topics.orderNotification;
    const group = groupName(orders.prefix, `orders-${stage}`);
    const letters = await orders.deadLetters.show(deadLetterTopic(topicName(orders.prefix, topic), group));
    return letters.filter(({ key }) => key?.toString() === orderId).map(({ attempts }) => attempts);
  };

  /** Of orders one after another until one was placed behind the change, whose failures are counted. */
  const untilItFails = (times: number, failuresOfOrder: () => Promise<number>) =>
    eventually(async () => expect(await failuresOfOrder()).toBe(times), patience);

  it.each([4, 2])("is %i for a receipt that is refused", async (retries) => {
    store.is("refuses");
    await orders.change({ retries });
    let orderId = "";
    await untilItFails(retries, async () => {
      orderId = await orders.place("seat");
      const { transitions } = await orders.reaches(orderId, "cancelled");
      return transitions.filter(({ event }) => event === "fulfilment_failed").length;
    });
    await orders.idle();
    expect(await lettersOf("fulfillment", orderId)).toEqual([retries]);
    store.is("well");
  });

  it.each([4, 2])("is %i for a notification that nobody takes", async (retries) => {
    webhook.answers(500);
    await orders.change({ retries });
    let orderId = "";
    await untilItFails(retries, async () => {
      orderId = await orders.place("seat");
      await eventually(async () => (await orders.order(orderId)).notification === "failed", patience);
      return webhook.received.filter(({ id }) => id === orderId).length;
    });
    await orders.idle();
    expect(await lettersOf("notification", orderId)).toEqual([retries]);
    webhook.answers(204);
  });
});
