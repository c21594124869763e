import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startInfra } from "@pricing-engine/hack/infra";
import { eventually, type SpawnedService, spawnService } from "@pricing-engine/testkit";
import { type Engine, startEngine } from "../support/engine.ts";
import { cpuMicrosOf, type Round, rssOf, runRound, type Spread, spreadOf, type Target } from "./measure.ts";
import type { Row } from "./report.ts";

export interface IngestScale {
  readonly rounds: number;
  readonly seconds: number;
  readonly feedBytes: number;
  readonly feedRounds: number;
}

export const full: IngestScale = { rounds: 5, seconds: 8, feedBytes: 50_000_000, feedRounds: 3 };
export const quick: IngestScale = { rounds: 3, seconds: 2, feedBytes: 50_000_000, feedRounds: 1 };

type Say = (line: string) => void;

/** How providers fail while searches are measured. */
const faults = {
  hang: { mode: "hang" },
  stall: { mode: "stall" },
  html: { mode: "html" },
  bomb: { mode: "bomb" },
  encoding: { mode: "encoding" },
  down: { failureRate: 1 },
  slow: { failureRate: 0.36, latencyMeanMs: 1_700 },
} as const;

const day = "/search?starts_at=2030-01-10T00:00:00Z&ends_at=2030-01-10T23:59:59Z";

/** Measures feeds and searches on servers and processes of its own. */
export async function benchIngest(scale: IngestScale, say: Say): Promise<readonly Row[]> {
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
    await using provider = await spawnService({ entry: new URL("../simulators/provider/main.ts", import.meta.url) });
    const small = { name: "small", interval: "1s" };
    const sources = [
      small,
      { name: "large", interval: "1h" },
      ...Object.keys(faults).map((name) => ({ name, interval: "1s" })),
    ];
    say("starting a gateway, an ingest api, a worker and a poller");
    await using engine = await startEngine({
      kafkaBrokers,
      postgresUrl,
      redisUrl,
      pricing: false,
      gateway: { auth: "apiKey" },
      ingest: {
        sources: sources.map(({ name, interval }) => {
          return { name, interval, timeout: "2s", url: `${provider.url}/feeds/${name}`, format: "plan-list-xml" };
        }),
      },
      telemetry: { logLevel: "info" },
      env: { "ingest-poller": { LOG_LEVEL: "info" } },
    });
    const fed = await measureFeed(engine, provider, scale, say);
    const searched = await measureSearches(engine, provider, scale, say);
    return [...fed, ...searched];
  } finally {
    await infra.stop();
  }
}

async function behave(provider: SpawnedService, feed: string, behaviour: object): Promise<void> {
  const answer = await fetch(`${provider.url}/control/${feed}`, { method: "PUT", body: JSON.stringify(behaviour) });
  if (!answer.ok) throw new Error(`the provider refused ${JSON.stringify(behaviour)}`);
}

interface Poll {
  readonly source: string;
  readonly outcome: string;
  readonly seen: number;
  readonly changed: number;
  readonly durationMs: number;
}

/** Polls of a source so far, from the poller's log. */
function pollsOf(poller: SpawnedService, source: string): Poll[] {
  return poller
    .output()
    .split("\n")
    .filter((line) => line.includes('"outcome"') && line.includes(`"source":"${source}"`))
    .map((line) => JSON.parse(line) as Poll);
}

/** A large document, over and over: first all of it is new, then nothing, though the provider never says so. */
async function measureFeed(
  engine: Engine,
  provider: SpawnedService,
  { feedBytes, feedRounds }: IngestScale,
  say: Say,
): Promise<readonly Row[]> {
  const poller = one(engine.processes("ingest-poller"));
  const poll = async (version: number): Promise<Poll> => {
    const before = pollsOf(poller, "large").length;
    await behave(provider, "large", {
      mode: "large",
      largeBytes: feedBytes,
      largeVersion: version,
      etag: false,
      gzip: false,
    });
    await engine.sql`update ingest.sources set next_poll_at = now() where name = 'large'`;
    return eventually(
      () => {
        const poll = pollsOf(poller, "large")[before];
        if (poll === undefined) throw new Error("not read yet");
        if (poll.outcome !== "whole") throw new Error(`the poll ended ${poll.outcome}`);
        return poll;
      },
      { timeoutMs: 300_000, intervalMs: 20 },
    );
  };
  const stored = (plans: number) =>
    eventually(
      async () => {
        const [row] = await engine.sql`select count(*)::int as count from ingest.plans where source = 'large'`;
        if (row?.count !== plans) throw new Error(`${row?.count} of ${plans} are stored`);
      },
      { timeoutMs: 300_000, intervalMs: 50 },
    );
  const drained = async (version: number, plans: number) => {
    await stored(plans);
    await eventually(
      async () => {
        const [row] = await engine.sql`
          select count(*)::int as count from ingest.zones z join ingest.plans p on p.id = z.plan
          where p.source = 'large' and z.position = 0 and z.price_hundredths % 100 = ${version * 10}`;
        if (row?.count !== plans) throw new Error("the last version is not stored yet");
      },
      { timeoutMs: 300_000, intervalMs: 100 },
    );
  };
  const megabytes = feedBytes / 1e6;
  await eventually(() => pollsOf(poller, "small").length > 2);
  const calmMb = rssOf(poller.pid);
  let largestMb = calmMb;
  const watch = setInterval(() => {
    largestMb = Math.max(largestMb, rssOf(poller.pid));
  }, 50);
  const changedRates: number[] = [];
  const sameRates: number[] = [];
  const changedCpu: number[] = [];
  const sameCpu: number[] = [];
  const storedSeconds: number[] = [];
  let plans = 0;
  for (let round = 1; round <= feedRounds; round += 1) {
    say(`feed ${round} of ${feedRounds}: all new, then all known`);
    const startedMs = performance.now();
    const cpuMs = (): number => cpuMicrosOf([poller.pid]) / 1000;
    const beforeMs = cpuMs();
    const changed = await poll(round);
    changedCpu.push(megabytes / ((cpuMs() - beforeMs) / 1000));
    plans = changed.seen;
    if (changed.changed !== plans) throw new Error(`${changed.changed} of ${plans} plans counted as changed`);
    changedRates.push(megabytes / (changed.durationMs / 1000));
    await drained(round, plans);
    storedSeconds.push((performance.now() - startedMs) / 1000);
    const betweenMs = cpuMs();
    const same = await poll(round);
    sameCpu.push(megabytes / ((cpuMs() - betweenMs) / 1000));
    if (same.changed !== 0) throw new Error(`${same.changed} plans counted as changed though none had`);
    sameRates.push(megabytes / (same.durationMs / 1000));
  }
  clearInterval(watch);
  const size = `${megabytes.toFixed(0)} MB`;
  const least = { least: 15 };
  return [
    { what: `feed of ${size}, all of it known`, spread: spreadOf(sameRates), unit: "MB/s", digits: 1, bar: least },
    {
      what: `feed of ${size}, all ${plans.toLocaleString("en")} plans new, published`,
      spread: spreadOf(changedRates),
      unit: "MB/s",
      digits: 1,
      bar: least,
    },
    { what: "the same, known: a second of the poller's CPU", spread: spreadOf(sameCpu), unit: "MB", digits: 1 },
    { what: "the same, new: a second of the poller's CPU", spread: spreadOf(changedCpu), unit: "MB", digits: 1 },
    { what: "from its poll to the last plan stored", spread: spreadOf(storedSeconds), unit: "s" },
    {
      what: "RSS growth of the poller",
      spread: spreadOf([largestMb - calmMb]),
      unit: "MB",
      digits: 0,
      bar: { most: 60 },
    },
  ];
}

async function measureSearches(
  engine: Engine,
  provider: SpawnedService,
  scale: IngestScale,
  say: Say,
): Promise<readonly Row[]> {
  const headers = { authorization: `Bearer ${engine.adminKey}` };
  const { text } = await engine.client.call("GET", day);
  const entry = new URL("./reference.ts", import.meta.url);
  await using reference = await spawnService({ entry, env: { BODY_BYTES: String(Buffer.byteLength(text)) } });
  const gateway = one(engine.processes("gateway"));
  const api = one(engine.processes("ingest-api"));
  const plain = { headers, method: "GET" as const };
  let nth = 0;
  const targets = {
    reference: { ...plain, url: `${reference.url}/`, pids: [reference.pid] },
    warm: { ...plain, url: engine.url + day, pids: [gateway.pid] },
    // A window that nobody has asked for: read from Postgres.
    miss: {
      ...plain,
      url: engine.url,
      pids: [gateway.pid, api.pid],
      nextPath: () => `/search?starts_at=${new Date(Date.UTC(2030, 0, 10) + (nth++ % 1e9)).toISOString()}&limit=20`,
    },
  } satisfies Record<string, Target>;
  const setFaults = (failing: boolean) =>
    Promise.all(Object.entries(faults).map(([name, fault]) => behave(provider, name, failing ? fault : {})));

  const rounds: Record<"reference" | "warm" | "miss" | "warmFailing" | "missFailing", Round>[] = [];
  for (let round = 1; round <= scale.rounds; round += 1) {
    say(`round ${round} of ${scale.rounds}: reference, warm, miss; providers fail: warm, miss`);
    const { seconds } = scale;
    await setFaults(false);
    const calm = {
      reference: await runRound(targets.reference, seconds),
      warm: await runRound(targets.warm, seconds),
      miss: await runRound(targets.miss, seconds),
    };
    await setFaults(true);
    rounds.push({
      ...calm,
      warmFailing: await runRound(targets.warm, seconds),
      missFailing: await runRound(targets.miss, seconds),
    });
  }
  const spread = (pick: (round: (typeof rounds)[number]) => number): Spread => spreadOf(rounds.map(pick));
  return [
    {
      what: `R: requests of ${Buffer.byteLength(text)} bytes`,
      spread: spread(({ reference: r }) => r.perSecond),
      unit: "/s",
      digits: 0,
    },
    { what: "R: CPU a request", spread: spread(({ reference: r }) => r.cpuMicros), unit: "µs", digits: 0 },
    {
      what: "warm /search of one day: share of R",
      spread: spread(({ warm, reference: r }) => warm.perSecond / r.perSecond),
      unit: "R",
      bar: { least: 0.5 },
    },
    { what: "warm: p99 to R's", spread: spread(({ warm, reference: r }) => warm.p99Ms / r.p99Ms), unit: "×" },
    { what: "warm: CPU a request, gateway", spread: spread(({ warm }) => warm.cpuMicros), unit: "µs", digits: 0 },
    { what: "miss, 20 events: requests", spread: spread(({ miss }) => miss.perSecond), unit: "/s", digits: 0 },
    {
      what: "warm: p99 while providers fail, to calm",
      spread: spread((r) => r.warmFailing.p99Ms / r.warm.p99Ms),
      unit: "×",
    },
    {
      what: "miss: p99 while providers fail, to calm",
      spread: spread((r) => r.missFailing.p99Ms / r.miss.p99Ms),
      unit: "×",
    },
    {
      what: "failed, all of them",
      spread: spread(({ warm, miss, warmFailing, missFailing }) =>
        [warm, miss, warmFailing, missFailing].reduce((sum, { failed }) => sum + failed, 0),
      ),
      unit: "",
      digits: 0,
      bar: { most: 0 },
    },
  ];
}

function one(services: readonly SpawnedService[]): SpawnedService {
  const [service] = services;
  if (service === undefined) throw new Error("none is running");
  return service;
}
