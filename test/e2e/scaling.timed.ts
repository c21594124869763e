import { randomUUID } from "node:crypto";
import { makeLogger } from "@pricing-engine/chassis/log";
import { type ChargeMessage, engineTenant, topicName, topics } from "@pricing-engine/contracts";
import { makeKafka, makeProducer } from "@pricing-engine/kafka";
import { eventually, infra, type SpawnedService, spawnService } from "@pricing-engine/testkit";
import postgres from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { auditPayments, isClean, note, renderAudit, type Tale } from "../audit/payments.ts";
import { readProcessor, readRows } from "../audit/sources.ts";
import { recordCurve } from "../support/curves.ts";
import { type LocalEngine, startLocalEngine } from "../support/local-engine.ts";
import { serviceEntry } from "../support/prepare.ts";

/*
 * The scaling loop of the local runtime on real Kafka: what the operator decides, when, and what becomes of the payments meanwhile.
 * Only the window before a step down is shorter than in production.
 */
const callMs = 1_500;
/** A worker has up to a thousand calls under way: two of them cannot do so many within the drain target. */
const burstSize = 4_000;
let engine: LocalEngine;
let processors: Readonly<Record<"default" | "fallback", SpawnedService>>;
const tales = new Map<string, Tale>();

async function startProcessor(): Promise<SpawnedService> {
  const processor = await spawnService({ entry: serviceEntry("processor") });
  const response = await fetch(`${processor.url}/admin/configurations/delay`, {
    method: "PUT",
    headers: { "x-rinha-token": "123", "content-type": "application/json" },
    body: JSON.stringify({ delay: callMs }),
  });
  if (!response.ok) throw new Error(`no delay: ${response.status}`);
  return processor;
}

beforeAll(async () => {
  const [first, second] = await Promise.all([startProcessor(), startProcessor()]);
  processors = { default: first, fallback: second };
  engine = await startLocalEngine(
    `
apiVersion: pricing-engine.dev/v1alpha1
kind: PricingEngine
metadata: { name: scaling }
spec:
  gateway: { replicas: { min: 1, max: 1 } }
  pricing: { recalculateEvery: 0s, workers: { min: 0, max: 2 } }
  payment:
    processors:
      - { name: default, url: "${first.url}", fee: "0.05" }
      - { name: fallback, url: "${second.url}", fee: "0.15" }
    workers: { min: 1, max: 3, drainTarget: 2s }
`,
    { env: { PE_SCALE_DOWN_WINDOW: "10s" } },
  );
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  await Promise.all(Object.values(processors ?? {}).map((processor) => processor.stop()));
});

/**
 * Payments as the gateway hands them to Kafka, all at once: on a busy machine those of a client would trickle, and be no burst.
 * Resolves with the moment when they began to be there.
 */
async function burst(count: number): Promise<number> {
  const logger = makeLogger({ name: "burst", level: "silent" });
  const kafka = makeKafka({ brokers: infra().kafkaBrokers.split(","), clientId: "burst", logger });
  const producer = makeProducer({ kafka });
  const send = async (correlationId: string) => {
    const message: ChargeMessage = {
      id: randomUUID(),
      type: "payment-charge",
      version: 1,
      occurredAt: new Date().toISOString(),
      tenantId: engineTenant,
      data: { source: "api", correlationId, amountMinor: 1_990 },
    };
    await producer.send({
      topic: topicName(engine.prefix, topics.payments),
      key: correlationId,
      value: JSON.stringify(message),
    });
    note(tales, correlationId, { told: "accepted", amountMinor: 1_990 });
  };
  try {
    // Connected, and the topic known.
    await send(randomUUID());
    const sinceMs = Date.now();
    await Promise.all(Array.from({ length: count }, () => send(randomUUID())));
    return sinceMs;
  } finally {
    await producer.close();
  }
}

/** Clients that pay through the gateway all the while. */
function keepPaying(clients: number): { stop(): Promise<void> } {
  let isOver = false;
  const pay = async () => {
    while (!isOver) {
      const correlationId = randomUUID();
      const { status } = await engine.client.call("POST", "/payments", { json: { correlationId, amount: 19.9 } });
      expect(status).toBe(202);
      note(tales, correlationId, { told: "accepted", amountMinor: 1_990 });
    }
  };
  const running = Promise.all(Array.from({ length: clients }, pay));
  return {
    async stop() {
      isOver = true;
      await running;
    },
  };
}

const countSettled = async () => {
  const dumps = await Promise.all(Object.values(processors).map(({ url = "" }) => readProcessor(url)));
  return dumps.flat().length;
};

const workers = async (role: string) => {
  const { workers: all } = await engine.status();
  const found = all.find((worker) => worker.role === role);
  if (found === undefined) throw new Error(`no ${role} in the status`);
  return found;
};

/** The first decision after `sinceMs` that makes them more. */
const firstUp = (role: string, sinceMs: number) =>
  eventually(
    async () => {
      const lines = await engine.decisions(role);
      const up = lines.find(({ at, decision }) => Date.parse(at) >= sinceMs && decision.desired > decision.before);
      if (up === undefined) throw new Error(`${role} did not go up: ${JSON.stringify(lines.at(-1)?.decision)}`);
      return up;
    },
    { timeoutMs: 30_000 },
  );

it("a burst takes the payment worker up at the next look and back down, and no payment is lost", async () => {
  expect(await workers("payment-worker")).toMatchObject({ desired: 1, ready: 1 });
  // Of the first one nobody knows how fast a worker is: that takes a look more, a second later.
  for (const [name, limitMs] of [
    ["cold", 5_000],
    ["warm", 3_000],
  ] as const) {
    const clients = keepPaying(2);
    try {
      const sinceMs = await burst(burstSize);
      const up = await firstUp("payment-worker", sinceMs);
      const afterMs = Date.parse(up.at) - sinceMs;
      console.log(
        `${name}: ${up.decision.before} → ${up.decision.desired} after ${afterMs} ms: ${up.decision.message}`,
      );
      expect(afterMs).toBeLessThan(limitMs);
      expect(up.decision.reason).toBe("ScaledUp");
      expect(up.decision.message).toMatch(/^\d+ waiting, [\d.]+\/s arrive, [\d.]+\/s per worker: \d needed$/);
      await eventually(async () => expect(await workers("payment-worker")).toMatchObject({ desired: 3, ready: 3 }), {
        timeoutMs: 60_000,
      });
      expect((await workers("payment-worker")).reason).toMatch(/^[A-Z][A-Za-z]+: \d+ waiting/);
    } finally {
      await clients.stop();
    }
    await eventually(async () => expect(await countSettled()).toBe(tales.size), { timeoutMs: 60_000 });
    await eventually(
      async () => expect(await workers("payment-worker")).toMatchObject({ desired: 1, ready: 1, replicas: 1, lag: 0 }),
      { timeoutMs: 90_000 },
    );
  }
  const lines = await engine.decisions("payment-worker");
  const downs = lines.filter(({ decision }) => decision.desired < decision.before);
  expect(new Set(downs.map(({ decision }) => decision.before - decision.desired))).toEqual(new Set([1]));
  recordCurve("payment-bursts", lines);
  const sql = postgres(engine.databaseUrl, { max: 1 });
  try {
    const dumps = {
      default: await readProcessor(processors.default.url ?? ""),
      fallback: await readProcessor(processors.fallback.url ?? ""),
    };
    const audit = auditPayments({ tales, ...dumps, rows: await readRows(sql) });
    expect(isClean(audit), renderAudit(audit)).toBe(true);
    expect(audit.accepted).toBeGreaterThan(3_000);
  } finally {
    await sql.end();
  }
}, 300_000);

it("min: 0 sleeps once nothing is left to do, and wakes on the first message", async () => {
  const { client } = engine;
  // Before it sleeps: a new product is a message too.
  await client.put("p-1");
  await eventually(async () => expect(await workers("pricing-worker")).toMatchObject({ desired: 0, replicas: 0 }), {
    timeoutMs: 60_000,
  });
  const sinceMs = Date.now();
  const taskId = await client.publish({ type: "demand", product_id: "p-1", demand: 2 });
  const up = await firstUp("pricing-worker", sinceMs);
  console.log(`asleep: ${Date.parse(up.at) - sinceMs} ms until it was woken`);
  expect(up.decision).toMatchObject({ before: 0, reason: "WokenUp" });
  expect(Date.parse(up.at) - sinceMs).toBeLessThan(3_000);
  expect((await client.taskEnd(taskId, 60_000)).status).toBe("succeeded");
}, 180_000);

it("paused by its annotation it holds the number whatever waits", async () => {
  await engine.edit((text) =>
    text.replace("metadata: { ", 'metadata: { annotations: { pricing-engine.dev/paused-scaling: "true" }, '),
  );
  await eventually(async () => expect((await workers("payment-worker")).reason).toMatch(/^Paused/), {
    timeoutMs: 30_000,
  });
  const sinceMs = await burst(burstSize);
  await eventually(async () => expect(await countSettled()).toBe(tales.size), { timeoutMs: 90_000 });
  const lines = (await engine.decisions("payment-worker")).filter(({ at }) => Date.parse(at) >= sinceMs);
  expect(Math.max(...lines.map(({ decision }) => decision.lag ?? 0))).toBeGreaterThan(500);
  expect(new Set(lines.map(({ decision }) => `${decision.desired} ${decision.reason}`))).toEqual(new Set(["1 Paused"]));
}, 180_000);
