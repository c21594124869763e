import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startInfra } from "@pricing-engine/hack/infra";
import type { Role } from "@pricing-engine/operator/plan";
import { eventually } from "@pricing-engine/testkit";
import { makeBundles } from "../support/bundles.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { startArrivals } from "../support/load.ts";
import { anOrder, placedOf, post } from "../support/orders.ts";
import { cpuMicrosOf, rssOf, spreadOf } from "./measure.ts";
import type { Row } from "./report.ts";

export interface Scale {
  readonly rounds: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** Of the same load before it: the compilers of V8 and the JVM take some 25 s of it until an order costs what it will. */
  readonly warmUpSeconds: number;
}

export const full: Scale = { rounds: 3, seconds: 30, perSecond: 100, warmUpSeconds: 30 };
export const quick: Scale = { rounds: 3, seconds: 8, perSecond: 100, warmUpSeconds: 15 };

type Say = (line: string) => void;

const roles = [
  "gateway",
  "pricing-api",
  "orders-api",
  "orders-inventory",
  "orders-payment",
  "orders-fulfillment",
  "orders-notification",
  "payment-worker",
] as const satisfies readonly Role[];

/** Orders from the customer's request to the notification: one process of each role, two instant processors, receipts in a directory. */
export async function benchOrders(scale: Scale, say: Say): Promise<readonly Row[]> {
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
    say("starting an engine with orders, bundled as in its images");
    await using engine = await startEngine({
      entries: await makeBundles(["gateway", "pricing", "payment", "orders"]),
      kafkaBrokers,
      postgresUrl,
      redisUrl,
      gateway: {
        rateLimit: { capacity: 1_000_000, refillPerSecond: 1_000_000 },
        backPressure: { maxLag: 1_000_000 },
      },
      payment: {},
      orders: {},
      partitions: 12,
    });
    await engine.client.put("seat", { stock: 10_000_000 });
    say(`warming up for ${scale.warmUpSeconds} s`);
    await measureRound(engine, { ...scale, seconds: scale.warmUpSeconds });
    const rounds: Round[] = [];
    for (let round = 1; round <= scale.rounds; round += 1) {
      say(`round ${round} of ${scale.rounds}: ${scale.perSecond} orders a second for ${scale.seconds} s`);
      rounds.push(await measureRound(engine, scale));
    }
    return rowsOf(engine, scale, rounds);
  } finally {
    await infra.stop();
  }
}

interface Round {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly answerP95Ms: number;
  readonly perSecond: number;
  /** An order's, by role. */
  readonly cpuMicros: readonly number[];
  readonly failed: number;
}

async function measureRound(engine: Engine, { perSecond, seconds }: Scale): Promise<Round> {
  const cpuOf = (role: Role): number => cpuMicrosOf(engine.processes(role).map(({ pid }) => pid));
  const cpuBefore = roles.map(cpuOf);
  const startedMs = performance.now();
  const load = startArrivals(perSecond, async () => placedOf(await post(engine.client, anOrder("seat"))).order_id);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  const observations = await load.stop();
  const tookMs = performance.now() - startedMs;
  const ids = observations.flatMap(({ result }) => (result.ok ? [result.value] : []));
  const notified = await eventually(
    async () => {
      const rows = await engine.sql<{ ms: number }[]>`
        select extract(epoch from t.at - t.created_at)::float8 * 1000 as ms from orders.order_transitions t
        where t.to_status = 'notified' and t.order_id = any(${ids})`;
      if (rows.length < ids.length) throw new Error(`${ids.length - rows.length} orders are not notified`);
      return rows.map(({ ms }) => ms);
    },
    { timeoutMs: 180_000, intervalMs: 500 },
  );
  const sorted = notified.toSorted((a, b) => a - b);
  const answers = observations.map((each) => each.endedMs - each.startedMs).toSorted((a, b) => a - b);
  const at = (values: readonly number[], share: number): number => values[Math.floor(values.length * share)] ?? 0;
  return {
    p50Ms: at(sorted, 0.5),
    p95Ms: at(sorted, 0.95),
    answerP95Ms: at(answers, 0.95),
    perSecond: (ids.length * 1_000) / tookMs,
    cpuMicros: roles.map((role, index) => (cpuOf(role) - (cpuBefore[index] ?? 0)) / Math.max(1, ids.length)),
    failed: observations.length - ids.length + load.skipped(),
  };
}

function rowsOf(engine: Engine, { perSecond }: Scale, rounds: readonly Round[]): readonly Row[] {
  const of = (pick: (round: Round) => number) => spreadOf(rounds.map(pick));
  const memory = roles.flatMap((role) => engine.processes(role).map(({ pid }) => rssOf(pid)));
  const what = `orders, ${perSecond}/s asked for`;
  return [
    { what: `${what}: taken`, spread: of((round) => round.perSecond), unit: "/s", digits: 0 },
    {
      what: `${what}: p95 placed → notified`,
      spread: of((round) => round.p95Ms),
      unit: "ms",
      digits: 0,
      bar: { most: 500 },
    },
    { what: `${what}: p50 placed → notified`, spread: of((round) => round.p50Ms), unit: "ms", digits: 0 },
    { what: `${what}: p95 of the answer`, spread: of((round) => round.answerP95Ms), unit: "ms", digits: 0 },
    {
      what: `${what}: CPU an order, all our processes`,
      spread: of((round) => round.cpuMicros.reduce((sum, micros) => sum + micros, 0)),
      unit: "µs",
      digits: 0,
    },
    ...roles.map((role, index) => {
      return {
        what: `CPU an order: ${role}`,
        spread: of((round) => round.cpuMicros[index] ?? 0),
        unit: "µs",
        digits: 0,
      };
    }),
    { what: `${what}: failed or not made`, spread: of((round) => round.failed), unit: "", digits: 0, bar: { most: 0 } },
    {
      what: "RSS of a process, largest",
      spread: spreadOf([Math.max(...memory)]),
      unit: "MB",
      digits: 0,
      bar: { most: 110 },
    },
  ];
}
