import { execFile } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startInfra } from "@pricing-engine/hack/infra";
import { eventually, type SpawnedService, spawnService } from "@pricing-engine/testkit";
import { makeBundles } from "../support/bundles.ts";
import { productIdOf } from "../support/client.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { type Round, rssOf, runRound, type Spread, spreadOf, type Target } from "./measure.ts";
import type { Row } from "./report.ts";

export interface Scale {
  readonly rounds: number;
  readonly seconds: number;
  readonly products: number;
  readonly recalculations: number;
}

export const full: Scale = { rounds: 5, seconds: 8, products: 100_000, recalculations: 3 };
export const quick: Scale = { rounds: 3, seconds: 2, products: 10_000, recalculations: 1 };

type Say = (line: string) => void;

/** Ten rules a stage: what `quote` and `publish` are measured with, too. */
function policyOf(factor: string): object {
  const rules = (when: readonly string[]) =>
    Array.from({ length: 10 }, (_, index) => ({
      name: `rule-${index}`,
      priority: index,
      when: when[index % when.length],
      adjust: { multiply: index === 0 ? factor : "0.999" },
      reason: "Because",
    }));
  return {
    market: rules(["product.base_price > 0.0", "product.stock < 20.0", "signals.demand > 1.0"]),
    customer: rules(["quantity >= 2", "customer.prime", 'customer.segment == "business"']),
    corridor: { minMargin: "0.10", floor: "1.00", ceiling: "999.00" },
    rounding: { increment: "0.01" },
  };
}

/** Measures on servers and processes of its own. */
export async function benchPrice(scale: Scale, say: Say): Promise<readonly Row[]> {
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
    const alone = await measureDomain(say);
    const entry = new URL("./reference.ts", import.meta.url);
    await using traceSink = await spawnService({ entry });
    const { kafkaBrokers, postgresUrl, redisUrl } = infra.endpoints;
    say("starting a gateway, a pricing api and two workers, bundled as in their images");
    await using engine = await startEngine({
      entries: await makeBundles(["gateway", "pricing"]),
      kafkaBrokers,
      postgresUrl,
      redisUrl,
      gateway: { auth: "apiKey" },
      pricing: { policy: policyOf("1.1"), cacheTtl: "10m", quoteTtl: "15m" },
      telemetry: { otlpEndpoint: `http://127.0.0.1:${traceSink.metricsPort}`, sampleRatio: "0.1", logLevel: "info" },
      replicas: { "pricing-worker": 2 },
      partitions: 12,
    });
    const memory = watchMemory(engine);
    const served = await measurePrices(engine, entry, scale, say);
    const recalculated = await measureRecalculation(engine, scale, say);
    return [...served, ...alone, ...recalculated, ...memory.rows()];
  } finally {
    await infra.stop();
  }
}

async function measureDomain(say: Say): Promise<readonly Row[]> {
  say("quote and publish alone");
  const entry = fileURLToPath(new URL("../../services/pricing/bench/domain.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [entry, "--json"]);
  const rates = JSON.parse(stdout) as Record<"quote" | "publish", Spread>;
  const row = (name: "quote" | "publish"): Row => ({
    what: `${name} alone, 10 rules`,
    spread: rates[name],
    unit: "/s a core",
    digits: 0,
    bar: { least: 50_000 },
  });
  return [row("quote"), row("publish")];
}

function one(services: readonly SpawnedService[]): SpawnedService {
  const [service] = services;
  if (service === undefined) throw new Error("none is running");
  return service;
}

async function measurePrices(engine: Engine, referenceEntry: URL, scale: Scale, say: Say): Promise<readonly Row[]> {
  const hot = 1_000;
  await engine.client.importProducts(hot, { stock: 100 });
  let bodyBytes = 0;
  for (let index = 0; index < hot; index += 1) {
    bodyBytes = JSON.stringify(await engine.client.price(productIdOf(index))).length;
  }
  await using reference = await spawnService({ entry: referenceEntry, env: { BODY_BYTES: String(bodyBytes) } });
  let nth = 0;
  const headers = { authorization: `Bearer ${engine.adminKey}` };
  const gateway = one(engine.processes("gateway"));
  const api = one(engine.processes("pricing-api"));
  const nextHit = (): string => JSON.stringify({ product_id: productIdOf(nth++ % hot) });
  const targets = {
    reference: { url: `${reference.url}/`, headers, nextBody: nextHit, pids: [reference.pid] },
    hit: { url: `${engine.url}/api/v1/price`, headers, nextBody: nextHit, pids: [gateway.pid] },
    miss: {
      url: `${engine.url}/api/v1/price`,
      headers,
      nextBody: () => JSON.stringify({ product_id: productIdOf(nth++ % hot), user_location: `at ${nth}` }),
      pids: [gateway.pid, api.pid],
    },
  } satisfies Record<string, Target>;

  const rounds: { reference: Round; hit: Round; miss: Round }[] = [];
  for (let round = 1; round <= scale.rounds; round += 1) {
    say(`round ${round} of ${scale.rounds}: reference, hit, miss`);
    rounds.push({
      reference: await runRound(targets.reference, scale.seconds),
      hit: await runRound(targets.hit, scale.seconds),
      miss: await runRound(targets.miss, scale.seconds),
    });
  }
  const spread = (pick: (round: (typeof rounds)[number]) => number): Spread => spreadOf(rounds.map(pick));
  return [
    { what: "R: requests", spread: spread(({ reference: r }) => r.perSecond), unit: "/s", digits: 0 },
    { what: "R: p99", spread: spread(({ reference: r }) => r.p99Ms), unit: "ms" },
    { what: "R: CPU a request", spread: spread(({ reference: r }) => r.cpuMicros), unit: "µs", digits: 0 },
    { what: "hit: requests", spread: spread(({ hit }) => hit.perSecond), unit: "/s", digits: 0 },
    {
      what: "hit: share of R",
      spread: spread(({ hit, reference: r }) => hit.perSecond / r.perSecond),
      unit: "R",
      bar: { least: 0.5 },
    },
    { what: "hit: p99", spread: spread(({ hit }) => hit.p99Ms), unit: "ms" },
    {
      what: "hit: p99 to R's",
      spread: spread(({ hit, reference: r }) => hit.p99Ms / r.p99Ms),
      unit: "×",
      bar: { most: 3 },
    },
    { what: "hit: CPU a request, gateway", spread: spread(({ hit }) => hit.cpuMicros), unit: "µs", digits: 0 },
    { what: "miss: requests", spread: spread(({ miss }) => miss.perSecond), unit: "/s", digits: 0 },
    {
      what: "miss: share of R",
      spread: spread(({ miss, reference: r }) => miss.perSecond / r.perSecond),
      unit: "R",
      bar: { least: 0.15 },
    },
    { what: "miss: p99", spread: spread(({ miss }) => miss.p99Ms), unit: "ms" },
    { what: "miss: CPU a request, gateway + api", spread: spread(({ miss }) => miss.cpuMicros), unit: "µs", digits: 0 },
    {
      what: "failed, hit and miss",
      spread: spread(({ hit, miss }) => hit.failed + miss.failed),
      unit: "",
      digits: 0,
      bar: { most: 0 },
    },
  ];
}

/** From the edit of the policy, which changes every price, to the end of the recalculation that it causes. */
async function measureRecalculation(engine: Engine, scale: Scale, say: Say): Promise<readonly Row[]> {
  say(`importing ${scale.products} products`);
  const startedMs = performance.now();
  await engine.client.importProducts(scale.products, { stock: 100 });
  const importSeconds = (performance.now() - startedMs) / 1_000;
  const seconds: number[] = [];
  const findTask = async (): Promise<string | undefined> => {
    const [row] = await engine.sql<{ task_id: string }[]>`
      select task_id from pricing.tasks where origin = 'policy' order by task_id desc limit 1`;
    return row?.task_id;
  };
  for (let round = 1; round <= scale.recalculations; round += 1) {
    say(`recalculation ${round} of ${scale.recalculations}`);
    const before = await findTask();
    const editedMs = performance.now();
    await engine.edit({ pricing: { policy: policyOf(`1.${round + 1}`), cacheTtl: "10m", quoteTtl: "15m" } });
    const taskId = await eventually(async () => {
      const found = await findTask();
      if (found === undefined || found === before) throw new Error("no task yet");
      return found;
    });
    const end = await engine.client.taskEnd(taskId, 300_000);
    seconds.push((performance.now() - editedMs) / 1_000);
    if (end.status !== "succeeded" || end.products.changed < scale.products) {
      throw new Error(`the recalculation ended ${JSON.stringify(end)}`);
    }
  }
  const count = scale.products.toLocaleString("en");
  return [
    { what: `import of ${count} products`, spread: spreadOf([importSeconds]), unit: "s" },
    {
      what: `recalculate-all, ${count} products, two workers`,
      spread: spreadOf(seconds),
      unit: "s",
      bar: { most: 20 },
    },
  ];
}

/** The largest resident memory of each process, looked at all the time. */
function watchMemory(engine: Engine): { rows(): readonly Row[] } {
  const roles = ["gateway", "pricing-api", "pricing-worker"] as const;
  const seen = new Map<string, number[]>();
  const look = (): void => {
    for (const role of roles) {
      for (const { pid } of engine.processes(role)) {
        const values = seen.get(role) ?? [];
        values.push(readOrZero(pid));
        seen.set(role, values);
      }
    }
  };
  const timer = setInterval(look, 250);
  return {
    rows() {
      clearInterval(timer);
      return roles.map((role): Row => {
        const values = seen.get(role) ?? [0];
        const largest = spreadOf(values).high;
        const bar = role === "pricing-api" ? {} : { bar: { most: 110 } };
        return {
          what: `RSS of a ${role}, largest`,
          spread: { ...spreadOf(values), median: largest },
          unit: "MB",
          digits: 0,
          ...bar,
        };
      });
    },
  };
}

function readOrZero(pid: number): number {
  try {
    return rssOf(pid);
  } catch {
    return 0;
  }
}
