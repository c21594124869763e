import { randomUUID } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeLogger } from "@pricing-engine/chassis/log";
import { chargeMessage, engineTenant, paymentsSummaryResponse, topicName, topics } from "@pricing-engine/contracts";
import { startInfra } from "@pricing-engine/hack/infra";
import { encodeEnvelope, makeKafka, makeProducer } from "@pricing-engine/kafka";
import { eventually, spawnService } from "@pricing-engine/testkit";
import { makeBundles } from "../support/bundles.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { type Round, rssOf, runRound, spreadOf } from "./measure.ts";
import type { Row } from "./report.ts";
import { countWindow, drawWindow, loadSettled } from "./summary-rows.ts";

export interface Scale {
  readonly rounds: number;
  readonly seconds: number;
  /** Charged by one worker, a round. */
  readonly charges: number;
  /** In the tables when the summary is asked for. */
  readonly settled: number;
  readonly windows: number;
}

export const full: Scale = { rounds: 5, seconds: 8, charges: 40_000, settled: 10_000_000, windows: 500 };
export const quick: Scale = { rounds: 3, seconds: 3, charges: 10_000, settled: 1_000_000, windows: 200 };

type Say = (line: string) => void;

/** Measures on servers and processes of its own: one gateway, one worker, two instant processors. */
export async function benchPayments(scale: Scale, say: Say): Promise<readonly Row[]> {
  say("starting Kafka, Postgres and Redis");
  const infra = await startInfra({
    dir: mkdtempSync(join(tmpdir(), "pricing-engine-bench-")),
    services: ["kafka", "postgres", "redis"],
    ports: "random",
    lifetime: "session",
    ephemeral: true,
    log: () => {},
  });
  try {
    const { kafkaBrokers, postgresUrl, redisUrl } = infra.endpoints;
    say("starting a gateway, a worker and two instant processors, bundled as in their images");
    await using engine = await startEngine({
      entries: await makeBundles(["gateway", "payment"]),
      kafkaBrokers,
      postgresUrl,
      redisUrl,
      pricing: false,
      payment: {},
      partitions: 12,
    });
    const accepted = await measureAccepted(engine, scale, say);
    const charged = await measureCharged(engine, kafkaBrokers, scale, say);
    const summed = await measureSummary(engine, scale, say);
    return [...accepted, ...charged, ...summed];
  } finally {
    await infra.stop();
  }
}

const bodyOf = (): string => JSON.stringify({ correlationId: randomUUID(), amount: 20.05 });

async function measureAccepted(engine: Engine, scale: Scale, say: Say): Promise<readonly Row[]> {
  const entry = new URL("./reference.ts", import.meta.url);
  await using reference = await spawnService({ entry, env: { BODY_BYTES: "21" } });
  const [gateway] = engine.processes("gateway");
  if (gateway === undefined) throw new Error("no gateway runs");
  const bare = { url: `${reference.url}/`, headers: {}, nextBody: bodyOf, pids: [reference.pid] };
  const ours = { url: `${engine.url}/payments`, headers: {}, nextBody: bodyOf, pids: [gateway.pid] };
  const rounds: { bare: Round; ours: Round }[] = [];
  for (let round = 1; round <= scale.rounds; round += 1) {
    say(`round ${round} of ${scale.rounds}: reference, POST /payments`);
    rounds.push({ bare: await runRound(bare, scale.seconds), ours: await runRound(ours, scale.seconds) });
    // The reference of the next round must not share its cores with what is still to be charged.
    await drained(engine);
  }
  const spread = (pick: (round: (typeof rounds)[number]) => number) => spreadOf(rounds.map(pick));
  return [
    { what: "R: requests", spread: spread(({ bare: r }) => r.perSecond), unit: "/s", digits: 0 },
    { what: "POST /payments: accepted", spread: spread(({ ours: o }) => o.perSecond), unit: "/s", digits: 0 },
    {
      what: "POST /payments: share of R",
      spread: spread(({ ours: o, bare: r }) => o.perSecond / r.perSecond),
      unit: "R",
      bar: { least: 0.15 },
    },
    { what: "POST /payments: p99", spread: spread(({ ours: o }) => o.p99Ms), unit: "ms" },
    { what: "POST /payments: CPU, gateway", spread: spread(({ ours: o }) => o.cpuMicros), unit: "µs", digits: 0 },
    {
      what: "POST /payments: failed",
      spread: spread(({ ours: o }) => o.failed),
      unit: "",
      digits: 0,
      bar: { most: 0 },
    },
  ];
}

async function settledCount({ sql }: Engine): Promise<number> {
  const [row] = await sql<{ count: string | null }[]>`
    select sum(payments) as count from payment.rollups where granularity_ms = 86400000`;
  return Number(row?.count ?? 0);
}

/** Waits until nothing more is settled. */
async function drained(engine: Engine): Promise<number> {
  let before = -1;
  return await eventually(
    async () => {
      const now = await settledCount(engine);
      const isStill = now === before;
      before = now;
      if (!isStill) throw new Error("payments are still being settled");
      return now;
    },
    { timeoutMs: 180_000, intervalMs: 1_500 },
  );
}

/** What waits in Kafka while no worker runs, and how fast one that comes charges it: the middle 80 %. */
async function measureCharged(engine: Engine, brokers: string, scale: Scale, say: Say): Promise<readonly Row[]> {
  const logger = makeLogger({ name: "bench", level: "fatal" });
  const producer = makeProducer({ kafka: makeKafka({ brokers: [brokers], clientId: "bench", logger }) });
  const topic = topicName(engine.prefix, topics.payments);
  const rates: number[] = [];
  const memory: number[] = [];
  try {
    for (let round = 1; round <= scale.rounds; round += 1) {
      say(`round ${round} of ${scale.rounds}: ${scale.charges} payments for one worker`);
      const base = await drained(engine);
      await Promise.all(engine.processes("payment-worker").map((worker) => worker.stop()));
      await Promise.all(Array.from({ length: scale.charges }, () => producer.send(chargeFor(topic))));
      const worker = await engine.start("payment-worker");
      const reach = async (share: number): Promise<{ count: number; atMs: number }> =>
        eventually(
          async () => {
            const count = (await settledCount(engine)) - base;
            if (count < share * scale.charges) throw new Error(`${count} are settled`);
            return { count, atMs: performance.now() };
          },
          { timeoutMs: 180_000, intervalMs: 20 },
        );
      const first = await reach(0.1);
      const last = await reach(0.9);
      rates.push(((last.count - first.count) * 1_000) / (last.atMs - first.atMs));
      memory.push(rssOf(worker.pid));
    }
  } finally {
    await producer.close();
  }
  return [
    { what: "one worker: settled", spread: spreadOf(rates), unit: "/s", digits: 0, bar: { least: 2_500 } },
    { what: "one worker: RSS", spread: spreadOf(memory), unit: "MB", digits: 0, bar: { most: 110 } },
  ];
}

function chargeFor(topic: string) {
  const correlationId = randomUUID();
  const value = encodeEnvelope(chargeMessage, {
    id: randomUUID(),
    type: "payment-charge",
    version: 1,
    occurredAt: new Date().toISOString(),
    tenantId: engineTenant,
    data: { source: "api", correlationId, amountMinor: 2005 },
  });
  return { topic, key: correlationId, value };
}

async function measureSummary(engine: Engine, scale: Scale, say: Say): Promise<readonly Row[]> {
  await Promise.all(engine.processes("payment-worker").map((worker) => worker.stop()));
  say(`loading ${scale.settled.toLocaleString("en")} settled payments`);
  await engine.sql`truncate payment.payments, payment.payment_keys, payment.rollups`;
  const span = await loadSettled(engine.sql, scale.settled);
  say(`${scale.windows} windows`);
  const ask = async (window: { from: string; to: string }) => {
    const response = await fetch(`${engine.url}/payments-summary?${new URLSearchParams(window)}`);
    return paymentsSummaryResponse.parse(await response.json());
  };
  for (let count = 0; count < 20; count += 1) await ask(drawWindow(span));
  const tookMs: number[] = [];
  for (let count = 0; count < scale.windows; count += 1) {
    const window = drawWindow(span);
    const startedMs = performance.now();
    await ask(window);
    tookMs.push(performance.now() - startedMs);
  }
  let wrong = 0;
  for (let count = 0; count < 10; count += 1) {
    const window = drawWindow(span);
    const summary = await ask(window);
    const told = (["default", "fallback"] as const)
      .filter((name) => summary[name].totalRequests > 0)
      .map((name) => `${name} ${summary[name].totalRequests} ${Math.round(summary[name].totalAmount * 100)}`);
    if (told.join(", ") !== (await countWindow(engine.sql, window))) wrong += 1;
  }
  tookMs.sort((a, b) => a - b);
  const p99Ms = tookMs[Math.floor(tookMs.length * 0.99)] ?? 0;
  const what = `summary of ${scale.settled.toLocaleString("en")}`;
  return [
    { what: `${what}: any window`, spread: spreadOf(tookMs), unit: "ms", bar: { most: 20 } },
    { what: `${what}: p99`, spread: spreadOf([p99Ms]), unit: "ms", bar: { most: 20 } },
    { what: `${what}: wrong windows`, spread: spreadOf([wrong]), unit: "", digits: 0, bar: { most: 0 } },
  ];
}
