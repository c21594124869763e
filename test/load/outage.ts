import { randomUUID } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startInfra } from "@pricing-engine/hack/infra";
import type { Role } from "@pricing-engine/operator/plan";
import { eventually } from "@pricing-engine/testkit";
import { Agent, request } from "undici";
import { type Audit, auditPayments, isClean, note, renderAudit, type Tale } from "../audit/payments.ts";
import { findSummaryFaults, pickWindows, readProcessor, readRows } from "../audit/sources.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { startArrivals } from "../support/load.ts";
import { setBothDown } from "../support/processors.ts";
import { rssOf, spreadOf } from "./measure.ts";
import type { Row } from "./report.ts";

export interface Scale {
  readonly perSecond: number;
  /** Before it, so that what grows with the first work of a process has grown. */
  readonly calmSeconds: number;
  readonly outageSeconds: number;
}

export const full: Scale = { perSecond: 500, calmSeconds: 60, outageSeconds: 60 };
export const quick: Scale = { perSecond: 200, calmSeconds: 15, outageSeconds: 20 };

type Say = (line: string) => void;

const roles = ["gateway", "payment-worker"] as const satisfies readonly Role[];
const sampleEveryMs = 2_000;
const drainTimeoutMs = 300_000;

interface Sample {
  readonly atSeconds: number;
  readonly sent: number;
  readonly settled: number;
  /** MB, by role. */
  readonly rss: readonly number[];
}

/** Both processors fail under a load that goes on: everything is taken, waits in Kafka and not in memory, and is charged afterwards. */
export async function benchOutage(scale: Scale, say: Say): Promise<readonly Row[]> {
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
    say("starting a gateway, a worker and two processors");
    await using engine = await startEngine({ kafkaBrokers, postgresUrl, redisUrl, pricing: false, payment: {} });
    return await measureOutage(engine, scale, say);
  } finally {
    await infra.stop();
  }
}

async function measureOutage(engine: Engine, scale: Scale, say: Say): Promise<readonly Row[]> {
  const { perSecond, calmSeconds, outageSeconds } = scale;
  const tales = new Map<string, Tale>();
  const dispatcher = new Agent({ connections: 64, pipelining: 1 });
  const startedMs = performance.now();
  const samples: Sample[] = [];
  const sample = async (): Promise<Sample> => {
    const rss = roles.map((role) => engine.processes(role).reduce((sum, { pid }) => sum + rssOf(pid), 0));
    const [row] = await engine.sql<{ count: string | null }[]>`
      select sum(payments) as count from payment.rollups where granularity_ms = 86400000`;
    const atSeconds = (performance.now() - startedMs) / 1_000;
    const taken = { atSeconds, sent: tales.size, settled: Number(row?.count ?? 0), rss };
    samples.push(taken);
    const waiting = String(taken.sent - taken.settled).padStart(6);
    const sizes = roles.map((role, index) => `${role} ${(rss[index] ?? 0).toFixed(0)} MB`).join(", ");
    say(`${atSeconds.toFixed(0).padStart(4)} s: ${taken.sent} taken, ${waiting} wait; ${sizes}`);
    return taken;
  };
  const watch = async (seconds: number): Promise<readonly Sample[]> => {
    const first = samples.length;
    for (const until = performance.now() + seconds * 1_000; performance.now() < until; await delay(sampleEveryMs))
      await sample();
    return samples.slice(first);
  };

  const load = startArrivals(perSecond, async () => {
    const correlationId = randomUUID();
    const told = await request(`${engine.url}/payments`, {
      method: "POST",
      dispatcher,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ correlationId, amount: 20.05 }),
    }).then(
      async ({ body, statusCode }) => {
        await body.dump();
        return statusCode === 202 ? ("accepted" as const) : ("refused" as const);
      },
      () => "unanswered" as const,
    );
    note(tales, correlationId, { told, amountMinor: 2005 });
  });
  say(`${perSecond} payments a second; ${calmSeconds} s of calm`);
  await watch(calmSeconds);
  say("both processors fail");
  await setBothDown(engine, true);
  const down = await watch(outageSeconds);
  say("both are well again, and the load ends");
  await setBothDown(engine, false);
  const healedMs = performance.now();
  await load.stop();
  await dispatcher.close();
  const urls = { default: engine.urlOf("processor-default"), fallback: engine.urlOf("processor-fallback") };
  await eventually(
    async () => {
      const { sent, settled } = await sample();
      if (settled < sent) throw new Error(`${sent - settled} wait`);
    },
    { timeoutMs: drainTimeoutMs, intervalMs: sampleEveryMs },
  ).catch((error: unknown) => say(String(error)));
  const drainedSeconds = (performance.now() - healedMs) / 1_000;
  const dumps = { default: await readProcessor(urls.default), fallback: await readProcessor(urls.fallback) };
  const audit = auditPayments({ tales, ...dumps, rows: await readRows(engine.sql) });
  if (!isClean(audit)) say(renderAudit(audit));
  const windows = pickWindows(Object.values(dumps).flat(), 20);
  const wrongWindows = (await findSummaryFaults(engine.url, dumps, windows)).length;
  return rowsOf({ down, drainedSeconds, audit, wrongWindows, skipped: load.skipped() });
}

interface Seen {
  readonly down: readonly Sample[];
  readonly drainedSeconds: number;
  readonly audit: Audit;
  readonly wrongWindows: number;
  readonly skipped: number;
}

function rowsOf({ down, drainedSeconds, audit, wrongWindows, skipped }: Seen): readonly Row[] {
  const one = (what: string, value: number, unit: string, more: Partial<Row> = {}): Row => {
    return { what, spread: spreadOf([value]), unit, digits: 0, ...more };
  };
  const half = Math.floor(down.length / 2);
  const median = (some: readonly Sample[], role: number): number =>
    spreadOf(some.map(({ rss }) => rss[role] ?? 0)).median;
  const waits = ({ sent, settled }: Sample): number => sent - settled;
  const last = down.at(-1);
  const none = { bar: { most: 0 } };
  return [
    one("both processors down: payments that wait at the end of it", last === undefined ? 0 : waits(last), ""),
    ...roles.map((role, index) =>
      one(
        `${role}: RSS, second half of the outage less the first`,
        median(down.slice(half), index) - median(down.slice(0, half), index),
        "MB",
        {
          digits: 1,
          bar: { most: 10 },
        },
      ),
    ),
    ...roles.map((role, index): Row => {
      return {
        what: `${role}: RSS while both are down`,
        spread: spreadOf(down.map(({ rss }) => rss[index] ?? 0)),
        unit: "MB",
        digits: 0,
      };
    }),
    one("drained after the end of the outage", drainedSeconds, "s", { digits: 1 }),
    one("accepted in all", audit.accepted, ""),
    one("refused, not answered, or not sent in time", audit.refused + audit.unanswered + skipped, "", none),
    one("lost", audit.faults.lost.length, "", none),
    one("doubled", audit.faults.doubled.length, "", none),
    one("wrong amounts, rows that differ", audit.faults.wrongAmount.length + audit.faults.rowDiffers.length, "", none),
    one("wrong windows", wrongWindows, "", none),
  ];
}
