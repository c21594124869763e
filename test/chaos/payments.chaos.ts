import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Infra, startInfra } from "@pricing-engine/hack/infra";
import { eventually, type SpawnedService, spawnService } from "@pricing-engine/testkit";
import { Agent, request } from "undici";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Audit, auditPayments, note, renderAudit, type Tale } from "../audit/payments.ts";
import { findSummaryFaults, pickWindows, readProcessor, readRows } from "../audit/sources.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { startLoad } from "../support/load.ts";
import { serviceEntry } from "../support/prepare.ts";
import { killRole, killServer, lasting, pauseRole, strikeAll, together } from "./faults.ts";

/*
 * Payments under load while everything is killed that can be. Every answer that a client got is kept, and at the end the audit
 * compares them with what the processors recorded: each accepted payment is at exactly one, once; nothing refused is at any.
 */
const services = ["kafka", "postgres", "redis"] as const;
const callers = 16;
const pauseMs = 60;
const calmMs = 2_500;
const drainTimeoutMs = 180_000;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

let folder: string;
let infra: Infra<(typeof services)[number]>;
let engine: Engine;
const processors: { default?: SpawnedService; fallback?: SpawnedService } = {};

async function startProcessor(name: "default" | "fallback"): Promise<SpawnedService> {
  // With a ledger, so that its record would outlive it too.
  const args = ["--ledger", join(folder, `${name}.ndjson`)];
  const started = await spawnService({ entry: serviceEntry("processor"), args });
  processors[name] = started;
  return started;
}

const urlOf = (name: "default" | "fallback"): string => processors[name]?.url ?? "";

async function configure(name: "default" | "fallback", setting: string, body: object): Promise<void> {
  const response = await fetch(`${urlOf(name)}/admin/configurations/${setting}`, {
    method: "PUT",
    headers: { "x-rinha-token": "123", "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${setting} of ${name}: ${response.status}`);
}

const ill = (name: "default" | "fallback", kind: string, share: number, forMs: number) =>
  lasting(
    `${share * 100} % ${kind} at ${name}`,
    forMs,
    () => configure(name, "fault", { kind, share }),
    () => configure(name, "fault", { kind: "none", share: 0 }),
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
  const worker = { PAYMENT_TIMEOUT_MS: "3000" };
  engine = await startEngine({
    pricing: false,
    kafkaBrokers: infra.endpoints.kafkaBrokers,
    postgresUrl: infra.endpoints.postgresUrl,
    redisUrl: infra.endpoints.redisUrl,
    replicas: { gateway: 2, "payment-worker": 2 },
    env: { "payment-worker": worker },
    payment: {
      processors: [
        { name: "default", url: urlOf("default"), fee: "0.05" },
        { name: "fallback", url: urlOf("fallback"), fee: "0.15" },
      ],
      routing: { maxHold: "2s" },
    },
  });
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  await Promise.all([processors.default?.stop(), processors.fallback?.stop()]);
  await infra?.stop();
  rmSync(folder, { recursive: true, force: true });
});

it("keeps every promise while everything is killed, paused, cut off and lied to", async () => {
  const tales = new Map<string, Tale>();
  const dispatcher = new Agent({ connections: callers, pipelining: 1 });
  const sent: { correlationId: string; amountMinor: number }[] = [];
  const load = startLoad(
    callers,
    async (nth) => {
      // Every tenth is a repeat of an earlier one.
      const earlier = nth % 10 === 9 ? sent[Math.floor(Math.random() * sent.length)] : undefined;
      const payment = earlier ?? { correlationId: randomUUID(), amountMinor: 1 + Math.floor(Math.random() * 100_000) };
      if (earlier === undefined) sent.push(payment);
      const { correlationId, amountMinor } = payment;
      const told = await request(`${engine.url}/payments`, {
        method: "POST",
        dispatcher,
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ correlationId, amount: amountMinor / 100 }),
        headersTimeout: 40_000,
      }).then(
        async (answer) => {
          await answer.body.dump();
          return answer.statusCode === 202 ? ("accepted" as const) : ("refused" as const);
        },
        () => "unanswered" as const,
      );
      note(tales, correlationId, { told, amountMinor });
    },
    { pauseMs },
  );
  await strikeAll(
    [
      killRole(engine, "payment-worker"),
      ill("default", "drop-after", 0.2, 4_000),
      killRole(engine, "gateway"),
      ill("default", "hang-after", 0.1, 4_000),
      pauseRole(engine, "payment-worker", 15_000),
      together(failing("default", 6_000), killRole(engine, "payment-worker")),
      killServer(infra, "redis"),
      ill("fallback", "garbage", 0.3, 3_000),
      killServer(infra, "kafka"),
      together(failing("default", 5_000), failing("fallback", 5_000)),
      killServer(infra, "postgres"),
      together(killRole(engine, "gateway"), killRole(engine, "payment-worker")),
      killRole(engine, "payment-api"),
      ill("default", "drop-before", 0.3, 3_000),
    ],
    calmMs,
    say,
  );
  await load.stop();
  await dispatcher.close();

  const look = async (): Promise<{ audit: Audit; dumps: Parameters<typeof findSummaryFaults>[1] }> => {
    const dumps = {
      default: await readProcessor(urlOf("default")),
      fallback: await readProcessor(urlOf("fallback")),
    };
    return { dumps, audit: auditPayments({ tales, ...dumps, rows: await readRows(engine.sql) }) };
  };
  const drainingMs = performance.now();
  await eventually(async () => expect((await look()).audit.faults).toMatchObject({ lost: [], rowDiffers: [] }), {
    timeoutMs: drainTimeoutMs,
    intervalMs: 1_000,
  }).catch(() => undefined);
  const { audit, dumps } = await look();
  say(`drained in ${((performance.now() - drainingMs) / 1000).toFixed(1)} s\n${renderAudit(audit)}`);
  const none = { lost: [], doubled: [], recordedThoughRefused: [], unasked: [], wrongAmount: [], rowDiffers: [] };
  expect(audit.faults).toEqual(none);
  expect(audit.accepted).toBeGreaterThan(500);
  const windows = pickWindows(Object.values(dumps).flat(), 30);
  expect(await findSummaryFaults(engine.url, dumps, windows)).toEqual([]);
});
