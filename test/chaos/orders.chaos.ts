import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Infra, startInfra } from "@pricing-engine/hack/infra";
import { eventually, type SpawnedService, spawnService } from "@pricing-engine/testkit";
import { Agent, request } from "undici";
import { afterAll, beforeAll, expect, it } from "vitest";
import { noteOrder, type OrderTale, readOrderSources } from "../audit/order-sources.ts";
import { auditOrders, type OrderAudit, renderOrderAudit } from "../audit/orders.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { failuresOf, startArrivals } from "../support/load.ts";
import { serviceEntry } from "../support/prepare.ts";
import { killRole, killServer, lasting, pauseRole, strikeAll, together } from "./faults.ts";

/*
 * 100 orders a second while every process is killed, and every server. Each answer that a client got is kept; at the end the audit compares
 * them with the orders, both processors' records, the stock and the receipts. Nothing waits for the sweeper: whatever is
 * acknowledged comes to its end by itself, well before an order is overdue.
 */
const services = ["kafka", "postgres", "redis"] as const;
const perSecond = 100;
const calmMs = 2_000;
const drainTimeoutMs = 240_000;
// Of the last there is too little.
const initial = new Map([
  ["seat", 1_000_000],
  ["stand", 1_000_000],
  ["rare", 500],
]);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

let folder: string;
let infra: Infra<(typeof services)[number]>;
let engine: Engine;
const processors = new Map<"default" | "fallback", SpawnedService>();

async function startProcessor(name: "default" | "fallback"): Promise<void> {
  const args = ["--ledger", join(folder, `${name}.ndjson`)];
  processors.set(name, await spawnService({ entry: serviceEntry("processor"), args }));
}

const urlOf = (name: "default" | "fallback"): string => processors.get(name)?.url ?? "";

async function configure(name: "default" | "fallback", setting: string, body: object): Promise<void> {
  const response = await fetch(`${urlOf(name)}/admin/configurations/${setting}`, {
    method: "PUT",
    headers: { "x-rinha-token": "123", "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${setting} of ${name}: ${response.status}`);
}

const ill = (kind: string, share: number, forMs: number) =>
  lasting(
    `${share * 100} % ${kind} at default`,
    forMs,
    () => configure("default", "fault", { kind, share }),
    () => configure("default", "fault", { kind: "none", share: 0 }),
  );
const failing = (name: "default" | "fallback", forMs: number) =>
  lasting(
    `${name} fails`,
    forMs,
    () => configure(name, "failure", { failure: true }),
    () => configure(name, "failure", { failure: false }),
  );

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "pricing-engine-chaos-"));
  infra = await startInfra({
    dir: join(folder, "infra"),
    services,
    ports: "random",
    mode: "native",
    lifetime: "session",
    log: () => undefined,
  });
  await Promise.all([startProcessor("default"), startProcessor("fallback")]);
  engine = await startEngine({
    kafkaBrokers: infra.endpoints.kafkaBrokers,
    postgresUrl: infra.endpoints.postgresUrl,
    redisUrl: infra.endpoints.redisUrl,
    replicas: { gateway: 2 },
    env: { "payment-worker": { PAYMENT_TIMEOUT_MS: "3000" } },
    gateway: {
      rateLimit: { capacity: 1_000_000, refillPerSecond: 1_000_000 },
      // An order that is taken in the middle of an outage is the point.
      backPressure: { maxLag: 1_000_000 },
    },
    payment: {
      processors: [
        { name: "default", url: urlOf("default"), fee: "0.05" },
        { name: "fallback", url: urlOf("fallback"), fee: "0.15" },
      ],
      routing: { maxHold: "2s" },
    },
    orders: {},
  });
  for (const [product, stock] of initial) await engine.client.put(product, { stock });
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  await Promise.all([...processors.values()].map((processor) => processor.stop()));
  await infra?.stop();
  rmSync(folder, { recursive: true, force: true });
});

type Sent = { readonly key: string; readonly body: string };

/** Places an order, or an earlier one again; some that were taken are cancelled. */
function makeCustomer(tales: Map<string, OrderTale>, dispatcher: Agent) {
  const sent: Sent[] = [];
  const products = ["seat", "stand", "seat", "stand", "rare"];
  const call = async (path: string, headers: Record<string, string>, body?: string) => {
    const answer = await request(`${engine.url}${path}`, {
      method: "POST",
      dispatcher,
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body }),
      headersTimeout: 40_000,
    });
    return { status: answer.statusCode, text: await answer.body.text() };
  };
  return async (nth: number): Promise<void> => {
    const earlier = nth % 10 === 9 ? sent[Math.floor(Math.random() * sent.length)] : undefined;
    const items = [{ product_id: products[nth % products.length], quantity: 1 + (nth % 3) }];
    const order = earlier ?? { key: randomUUID(), body: JSON.stringify({ customer_id: `c-${nth % 100}`, items }) };
    if (earlier === undefined) sent.push(order);
    const answer = await call("/orders", { "idempotency-key": order.key }, order.body).catch(() => undefined);
    if (answer?.status !== 202) {
      // A 503 says no more than silence: the order may be there.
      noteOrder(tales, order.key, { told: "unanswered" });
      if (answer !== undefined && answer.status !== 503) throw new Error(`${answer.status} ${answer.text}`);
      return;
    }
    const { order_id: orderId } = JSON.parse(answer.text) as { order_id: string };
    const told = tales.get(order.key)?.orderId;
    if (told !== undefined && told !== orderId) throw new Error(`${order.key} is ${told} and ${orderId}`);
    noteOrder(tales, order.key, { told: "accepted", orderId });
    if (nth % 20 === 3) await call(`/orders/${orderId}/cancel`, {}).catch(() => undefined);
  };
}

it("brings every order that it took to its end, and money, stock and receipts agree, while everything is killed", async () => {
  const tales = new Map<string, OrderTale>();
  const dispatcher = new Agent({ connections: 512, pipelining: 1 });
  const load = startArrivals(perSecond, makeCustomer(tales, dispatcher));
  await strikeAll(
    [
      killRole(engine, "orders-inventory"),
      killRole(engine, "orders-payment"),
      killRole(engine, "orders-fulfillment"),
      killRole(engine, "orders-notification"),
      together(ill("drop-after", 0.2, 4_000), killRole(engine, "payment-worker")),
      // Both that carry the outbox.
      together(killRole(engine, "orders-api"), killRole(engine, "orders-payment")),
      pauseRole(engine, "orders-fulfillment", 15_000),
      killServer(infra, "redis"),
      killServer(infra, "kafka"),
      together(failing("default", 5_000), failing("fallback", 5_000)),
      killServer(infra, "postgres"),
      together(killRole(engine, "gateway"), killRole(engine, "pricing-api")),
      together(killRole(engine, "orders-inventory"), killRole(engine, "orders-fulfillment")),
    ],
    calmMs,
    say,
  );
  const observations = await load.stop();
  await dispatcher.close();
  expect(failuresOf(observations)).toEqual([]);

  const look = async (): Promise<OrderAudit> => {
    const urls = [urlOf("default"), urlOf("fallback")];
    const sources = { sql: engine.sql, processors: urls, receiptsFolder: engine.receiptsFolder, initial };
    return auditOrders({ tales, ...(await readOrderSources(sources)) });
  };
  const drainingMs = performance.now();
  await eventually(async () => expect((await look()).faults).toMatchObject({ unended: [], receipts: [] }), {
    timeoutMs: drainTimeoutMs,
    intervalMs: 1_000,
  }).catch(() => undefined);
  const audit = await look();
  say(
    `${observations.length} calls, ${load.skipped()} not made; drained in ${seconds(performance.now() - drainingMs)}`,
  );
  say(renderOrderAudit(audit));
  expect(audit.faults).toEqual({ lost: [], doubled: [], unended: [], money: [], stock: [], receipts: [] });
  expect(audit.accepted).toBeGreaterThan(2_000);
  const expired = await engine.sql`select order_id from orders.orders where status = 'payment_failed'`;
  expect(expired).toHaveLength(0);
});

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
