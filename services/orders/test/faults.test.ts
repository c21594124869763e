import { createHmac } from "node:crypto";
import { readdir } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { eventually } from "@pricing-engine/testkit";
import { describe, expect, it } from "vitest";
import { stages } from "../src/config.ts";
import { type RunningOrders, startOrders } from "./support/engine.ts";

const patience = { timeoutMs: 90_000, intervalMs: 100 };

/** A server of somebody else, whose answers the test decides. */
async function startServer(answer: (request: IncomingMessage, body: string, response: ServerResponse) => void) {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => answer(request, Buffer.concat(chunks).toString(), response));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Money, stock and receipts against the states of all orders. */
async function audit(orders: RunningOrders, product: string, initialStock: number): Promise<void> {
  const rows = await orders.pool.sql<{ order_id: string; status: string; payment_id: string; refund: string }[]>`
    select order_id, status, payment_id::text as payment_id, refund from orders.orders`;
  const dumps = [...(await orders.processors.default.dump()), ...(await orders.processors.fallback.dump())];
  expect(new Set(dumps.map(({ correlationId }) => correlationId)).size).toBe(dumps.length);
  const charged = new Map(dumps.map((one) => [one.correlationId, one.refunded]));
  const files = (await readdir(orders.receipts, { recursive: true }).catch(() => [])).map((one) =>
    one.split("/").at(-1),
  );
  const receipts = new Set(files.filter((one) => one?.endsWith(".json")).map((one) => one?.slice(0, -5)));
  let sold = 0;
  for (const { order_id, status, payment_id, refund } of rows) {
    const isSold = status === "notified" || status === "fulfilled";
    if (isSold) sold += 1;
    expect([order_id, charged.get(payment_id)]).toEqual([
      order_id,
      isSold ? false : refund === "done" ? true : undefined,
    ]);
    expect([order_id, receipts.has(order_id)]).toEqual([order_id, isSold]);
  }
  expect(charged.size).toBe(
    rows.filter(({ status, refund }) => /notified|fulfilled/.test(status) || refund === "done").length,
  );
  expect((await orders.call("GET", `/api/v1/inventory/${product}`)).body).toEqual({
    stock: initialStock - sold,
    reserved: 0,
  });
}

const xmlError = (code: string) => `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`;

describe("orders in a bad world", { timeout: 300_000 }, () => {
  it("refunds, releases, cancels and dead-letters what cannot be fulfilled; a replay changes nothing", async () => {
    let mode: "away" | "refusing" = "away";
    let puts = 0;
    await using store = await startServer((request, _body, response) => {
      if (request.method === "PUT") puts += 1;
      const [status, code] = mode === "away" ? [503, "SlowDown"] : [400, "InvalidRequest"];
      response.writeHead(request.method === "DELETE" ? 204 : status, { "content-type": "application/xml" });
      response.end(request.method === "DELETE" ? undefined : xmlError(code));
    });
    await using orders = await startOrders({
      orders: { stateTimeoutMs: 60_000 },
      env: {
        RECEIPTS_S3_ENDPOINT: store.url,
        RECEIPTS_S3_BUCKET: "receipts",
        RECEIPTS_S3_ACCESS_KEY_ID: "key",
        RECEIPTS_S3_SECRET_ACCESS_KEY: "secret",
      },
    });
    await orders.product("p", 5);
    const orderId = await orders.place("p", 2);
    // A store that is away or full counts no attempt, however often it is tried.
    await eventually(() => puts >= 8, patience);
    const waiting = await orders.order(orderId);
    expect([waiting.status, waiting.transitions.at(-1)?.event]).toEqual(["paid", "charge_settled"]);

    mode = "refusing";
    const order = await orders.reaches(orderId, "cancelled");
    expect(order.transitions.map(({ event }) => event)).toEqual([
      "order_placed",
      "stock_reserved",
      "charge_settled",
      "fulfilment_failed",
      "fulfilment_failed",
      "fulfilment_failed",
      "refund_done",
    ]);
    expect(order).toMatchObject({ refund: "done", reason: "the receipt store: InvalidRequest", receipt_url: null });
    expect((await orders.call("GET", "/api/v1/inventory/p")).body).toEqual({ stock: 5, reserved: 0 });
    const topic = `${orders.prefix}order-fulfillment.orders-fulfillment.dlq`;
    await eventually(async () => (await orders.deadLetters.show(topic)).length === 1, patience);
    const [letter] = await orders.deadLetters.show(topic);
    expect(letter).toMatchObject({
      code: "receipt_refused",
      attempts: 3,
      message: "the receipt store: InvalidRequest",
    });

    expect(await orders.deadLetters.replay(topic)).toEqual({ sent: 1, skipped: 0 });
    // Behind the replay, on the same partitions.
    const after = await orders.place("p");
    await orders.reaches(after, "cancelled");
    expect((await orders.order(orderId)).transitions).toHaveLength(7);
    const dump = await orders.processors.default.dump();
    expect(dump.map(({ refunded }) => refunded)).toEqual([true, true]);
  });

  it("tells a webhook, signed; what it does not take is failed, and delivered by a replay", async () => {
    const told: { id: string; valid: boolean }[] = [];
    let refuses = true;
    await using hook = await startServer(({ headers }, body, response) => {
      const [id, seconds] = [String(headers["webhook-id"]), String(headers["webhook-timestamp"])];
      const mac = createHmac("sha256", "secret").update(`${id}.${seconds}.${body}`).digest("base64");
      told.push({ id, valid: headers["webhook-signature"] === `v1,${mac}` });
      response.writeHead(refuses ? 500 : 204).end();
    });
    await using orders = await startOrders({
      env: { NOTIFICATION_WEBHOOK_URL: hook.url, NOTIFICATION_WEBHOOK_TOKEN: "secret" },
    });
    await orders.product("p", null);
    const orderId = await orders.place("p");
    await eventually(async () => (await orders.order(orderId)).notification === "failed", patience);
    expect(told).toEqual(Array.from({ length: 3 }, () => ({ id: orderId, valid: true })));
    expect((await orders.order(orderId)).status).toBe("fulfilled");
    const topic = `${orders.prefix}order-notification.orders-notification.dlq`;
    await eventually(async () => (await orders.deadLetters.show(topic)).length === 1, patience);
    refuses = false;
    await orders.deadLetters.replay(topic);
    expect(await orders.reaches(orderId, "notified")).toMatchObject({ notification: "sent" });
  });

  it("waits while both processors are down, ends late charges by their deadline, and goes on afterwards", async () => {
    await using orders = await startOrders({ orders: { stateTimeoutMs: 20_000 } });
    await orders.product("p", 100);
    await orders.processors.default.set("failure", true);
    await orders.processors.fallback.set("failure", true);
    const ids = await Promise.all(Array.from({ length: 20 }, () => orders.place("p")));
    for (const id of ids) await orders.reaches(id, "reserved");
    const load = async () => (await orders.call("GET", "/internal/load")).body;
    expect(await load()).toMatchObject({ unfinishedCharges: 20 });
    await orders.processors.default.set("failure", false);
    await orders.processors.fallback.set("failure", false);
    for (const id of ids) await orders.reaches(id, "notified", "payment_failed");
    await eventually(async () => expect(await load()).toEqual({ unsentOutbox: 0, unfinishedCharges: 0 }), patience);
    await audit(orders, "p", 100);
  });

  it("nudges what got lost, and ends a charge that nobody started", async () => {
    await using orders = await startOrders({ orders: { stateTimeoutMs: 2_000 }, paymentWorker: false });
    await orders.product("p", 10);
    const orderId = await orders.place("p");
    await orders.reaches(orderId, "reserved");
    await eventually(async () => {
      const [row] = await orders.pool.sql<{ late: boolean }[]>`
        select charge_deadline < now() - interval '1 second' as late from orders.orders`;
      return row?.late === true;
    }, patience);
    await orders.startPaymentWorker();
    const order = await orders.reaches(orderId, "payment_failed");
    expect(order.reason).toBe("charge_expired");
    await audit(orders, "p", 10);
  });

  it("makes scarce things dearer", async () => {
    const when = {
      name: "scarce",
      priority: 10,
      when: "signals.stock < 3.0",
      adjust: { multiply: "1.5" },
      reason: "Few left",
    };
    await using orders = await startOrders({ pricing: { policy: { market: [when], customer: [] } } });
    await orders.startPricingWorker();
    await orders.product("few", 10);
    await orders.reaches(await orders.place("few", 8), "notified");
    const price = () => orders.pricing("POST", "/api/v1/price", { product_id: "few" });
    await eventually(async () => expect((await price()).body.final_price).toBe("15.00"), patience);
    const explained = await orders.pricing("GET", "/api/v1/prices/few/explain");
    expect(explained.body.steps).toMatchObject([{ rule: "scarce", reason: "Few left", after: "15.00" }]);
  });

  it("ends every order when each stage is killed under load, with money, stock and receipts that agree", async () => {
    await using orders = await startOrders({ orders: { stateTimeoutMs: 10_000 }, run: [] });
    const running = new Map<(typeof stages)[number], Awaited<ReturnType<typeof orders.start>>>();
    for (const stage of stages) running.set(stage, await orders.start(stage));
    await orders.product("p", 10_000);
    const ids: string[] = [];
    let stopped = false;
    const load = (async () => {
      while (!stopped) ids.push(...(await Promise.all(Array.from({ length: 5 }, () => orders.place("p")))));
    })();
    for (const stage of stages) {
      const target = ids.length + 40;
      await eventually(() => ids.length >= target, patience);
      await running.get(stage)?.kill();
      running.set(stage, await orders.start(stage));
    }
    stopped = true;
    await load;
    await eventually(async () => {
      const { notified = 0, payment_failed: failed = 0, cancelled = 0 } = await orders.counts();
      return notified + failed + cancelled === ids.length;
    }, patience);
    await audit(orders, "p", 10_000);
  });
});
