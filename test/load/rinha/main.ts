/**
 * pnpm bench rinha [--scale 0.2] [--seconds 120] [--faults] [--cpus 1.5]
 *
 * The Rinha run of docs/guide/payments.md: everything of ours, Kafka, Postgres and Redis within the CPU limit, the load and the two
 * processors outside; then a null backend under the same limit, and one that only waits for Kafka; then the audit. Needs k6
 * (`go install go.k6.io/k6@v1.3.0`) on the PATH or in K6. Ends with 1 when a promise was not kept or a bar was missed, with 2 when it cannot begin.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { paymentsSummaryResponse } from "@pricing-engine/contracts";
import { startInfra } from "@pricing-engine/hack/infra";
import { eventually } from "@pricing-engine/testkit";
import postgres from "postgres";
import { z } from "zod";
import { auditPayments, isClean, renderAudit } from "../../audit/payments.ts";
import { findSummaryFaults, parseTales, pickWindows, readProcessor, readRows } from "../../audit/sources.ts";
import { bundlesDir, makeBundles } from "../../support/bundles.ts";
import { findFreePort } from "../../support/free-port.ts";
import { limitCpu, type NodeMemory } from "./cpu-limit.ts";
import { scoreRinha } from "./score.ts";

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    scale: { type: "string", default: "1" },
    // The final took 300; a shorter run has the same stages, closer together, and is a look, not a result.
    seconds: { type: "string", default: "300" },
    cpus: { type: "string", default: "1.5" },
    faults: { type: "boolean", default: false },
  },
});
const scale = Number(values.scale);
const seconds = Number(values.seconds);
const k6 = process.env.K6 ?? "k6";
const amount = 20.05;
const bars = { shareOfCeiling: 0.988, p99Ratio: 3, nodeMb: 350 };
const drainTimeoutMs = 120_000;

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const say = (line: string): void => console.error(`  ${line}`);
const folder = mkdtempSync(join(tmpdir(), "pricing-engine-rinha-"));
const closers: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
const resultSchema = z.object({
  users: z.number(),
  accepted: z.number(),
  refused: z.number(),
  unanswered: z.number(),
  inconsistent: z.number(),
  checked: z.number(),
  p50Ms: z.number(),
  p99Ms: z.number(),
  maxMs: z.number(),
});

if (spawnSync(k6, ["version"]).status !== 0) {
  console.error(`${k6} does not run: go install go.k6.io/k6@v1.3.0, and have it on the PATH or in K6`);
  process.exit(2);
}
say("bundling the services as in their images");
await makeBundles(["gateway", "payment"]);
const limit = limitCpu(Number(values.cpus));
say(limit === undefined ? "no cgroup can be made here: no CPU limit" : `limited to ${values.cpus} CPUs`);
const first = (command: readonly string[]): readonly string[] => limit?.first(command) ?? command;
const beside = (command: readonly string[]): readonly string[] => limit?.beside(command) ?? command;
// Go's collector takes a whole CPU for a while, from whom it measures; as a rule k6 never has so much.
const k6Memory = { GOGC: "off", GOMEMLIMIT: "3GiB" };

function run(command: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const [program = "", ...args] = command;
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
  closers.push(async () => {
    if (child.kill()) await once(child, "exit");
  });
  return child;
}

async function load(
  name: string,
  env: Record<string, string>,
): Promise<{ result: z.infer<typeof resultSchema>; text: string }> {
  const log = join(folder, `${name}.log`);
  const variables = Object.entries({ SCALE: String(scale), SECONDS: String(seconds), ...env }).flatMap(
    ([key, value]) => ["-e", `${key}=${value}`],
  );
  const command = [k6, "run", "--quiet", "--console-output", log, ...variables, path("./rinha.js")];
  const child = run(first(command), k6Memory);
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    output += String(chunk);
  });
  const [code] = (await once(child, "close")) as [number | null];
  const found = /RESULT (\{.*\})/.exec(output)?.[1];
  if (found === undefined) throw new Error(`k6 ended with ${code} and no result:\n${output}`);
  return { result: resultSchema.parse(JSON.parse(found)), text: readFileSync(log, "utf8") };
}

async function startProcessor(name: string, fee: string): Promise<string> {
  const port = await findFreePort();
  const entry = path("../../simulators/processor/main.ts");
  run(
    beside([process.execPath, entry, "--port", String(port), "--fee", fee, "--ledger", join(folder, `${name}.ndjson`)]),
  );
  const url = `http://127.0.0.1:${port}`;
  await eventually(async () => (await fetch(`${url}/payments/none`)).status === 404, { timeoutMs: 20_000 });
  return url;
}

const processors = {
  default: await startProcessor("default", "0.07"),
  fallback: await startProcessor("fallback", "0.1"),
};
let code = 1;
try {
  const infra = await startInfra({
    dir: join(folder, "infra"),
    services: ["kafka", "postgres", "redis"],
    ports: "random",
    mode: "native",
    lifetime: "session",
    // The resource names no replica. A broker's heap of 256 MB is part of what is measured.
    replica: false,
    kafkaHeapMb: 256,
    log: () => undefined,
  });
  closers.push(() => infra.stop());
  const { kafkaBrokers, postgresUrl, redisUrl } = infra.endpoints;
  const stateDir = join(folder, "engine");
  mkdirSync(stateDir);
  const secret = (name: string, url: string): object => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name },
    stringData: { url },
  });
  const resource = {
    apiVersion: "pricing-engine.dev/v1alpha1",
    kind: "PricingEngine",
    metadata: { name: "rinha" },
    spec: {
      kafka: { brokers: [kafkaBrokers], topics: { partitions: 4 } },
      postgres: { primary: { secretRef: { name: "db" } }, poolSize: 8 },
      redis: { secretRef: { name: "cache" } },
      gateway: { replicas: { min: 1, max: 1 }, allowPurge: true },
      payment: {
        processors: [
          { name: "default", url: processors.default, fee: "0.07" },
          { name: "fallback", url: processors.fallback, fee: "0.10" },
        ],
        // The outage of the script is shorter in a shorter run, and so is what may wait for its end.
        routing: { maxHold: `${Math.max(1, Math.round((30 * seconds) / 300))}s` },
        workers: { min: 1, max: 1 },
      },
      telemetry: { sampleRatio: "0", logLevel: "warn" },
    },
  };
  const file = join(folder, "rinha.yaml");
  const documents = [secret("db", postgresUrl), secret("cache", redisUrl), resource];
  writeFileSync(file, documents.map((document) => JSON.stringify(document)).join("\n---\n"));
  const port = await findFreePort();
  const target = `http://127.0.0.1:${port}`;
  const operator = path("../../../operator/src/main.ts");
  const flags = ["-f", file, "--state-dir", stateDir, "--port", String(port), "--no-demo"];
  const engine = run([process.execPath, operator, "local", "start", ...flags], { PE_BUNDLES: bundlesDir });
  engine.stdout?.resume();
  closers.push(async () => {
    engine.kill("SIGTERM");
    if (engine.exitCode === null) await once(engine, "close");
  });
  await eventually(async () => (await fetch(`${target}/readyz`)).ok, { timeoutMs: 180_000 });
  say(`the engine is ready; ${values.faults ? "parts are killed in turn; " : ""}the load runs for ${seconds} s`);

  let peak: NodeMemory = { bytes: 0, own: [] };
  const sampling = setInterval(() => {
    const now = limit?.nodeMemory();
    if (now !== undefined && now.bytes > peak.bytes) peak = now;
  }, 2_000);
  const killRole = async (role: string): Promise<void> => {
    const ready = JSON.parse(readFileSync(join(stateDir, "ready", `${role}-1.json`), "utf8")) as { pid: number };
    process.kill(ready.pid, "SIGKILL");
  };
  const killServer = async (service: "kafka" | "postgres" | "redis"): Promise<void> => {
    await infra.kill(service);
    await eventually(() => infra.restart(service), { timeoutMs: 120_000 });
  };
  const stop = new AbortController();
  const faults: readonly (readonly [number, string, () => Promise<void>])[] = [
    [45, "gateway", () => killRole("gateway")],
    [92, "worker, as default begins to fail", () => killRole("payment-worker")],
    [110, "Redis", () => killServer("redis")],
    [152, "worker, as fallback begins to fail", () => killRole("payment-worker")],
    [175, "Kafka", () => killServer("kafka")],
    [220, "Postgres", () => killServer("postgres")],
    [250, "gateway", () => killRole("gateway")],
  ];
  const throttledBefore = limit?.throttledSeconds() ?? 0;
  const startedMs = performance.now();
  const striking = values.faults
    ? Promise.all(
        faults.map(async ([atSeconds, what, strike]) => {
          const waited = await delay((atSeconds * 1000 * seconds) / 300, true, { signal: stop.signal }).catch(
            () => false,
          );
          if (!waited) return;
          say(`${((performance.now() - startedMs) / 1000).toFixed(0)} s: kill -9 of ${what}`);
          await strike().catch((error: unknown) => say(`${what}: ${String(error)}`));
        }),
      )
    : Promise.resolve();
  const { result, text } = await load("ours", {
    TARGET: target,
    DEFAULT: processors.default,
    FALLBACK: processors.fallback,
  });
  // What is settled when the load ends is what counts.
  const summary = paymentsSummaryResponse.parse(await (await fetch(`${target}/payments-summary`)).json());
  stop.abort();
  await striking;
  clearInterval(sampling);
  const throttledSeconds = (limit?.throttledSeconds() ?? 0) - throttledBefore;

  const sql = postgres(postgresUrl, { max: 1, onnotice: () => undefined });
  closers.push(() => sql.end({ timeout: 5 }));
  const drainedFromMs = performance.now();
  const tales = parseTales(text);
  const read = async () => {
    const dumps = {
      default: await readProcessor(processors.default),
      fallback: await readProcessor(processors.fallback),
    };
    return { dumps, audit: auditPayments({ tales, ...dumps, rows: await readRows(sql) }) };
  };
  await eventually(async () => isClean((await read()).audit), { timeoutMs: drainTimeoutMs, intervalMs: 1_000 }).catch(
    () => undefined,
  );
  const { dumps, audit } = await read();
  const drainedMs = performance.now() - drainedFromMs;
  const windows = pickWindows(Object.values(dumps).flat(), 20);
  const summaryFaults = await findSummaryFaults(target, dumps, windows);

  const referenceSeconds = Math.min(60, seconds / 2);
  const measure = async (name: "null" | "durable", ...args: string[]) => {
    const backendPort = await findFreePort();
    const target = `http://127.0.0.1:${backendPort}`;
    const backend = run([process.execPath, path(`./${name}-backend.ts`), String(backendPort), ...args]);
    await eventually(async () => (await fetch(target, { method: "POST", body: "{}" })).status === 202);
    say(`the ${name} backend under the same load, for ${referenceSeconds} s`);
    const measured = await load(name, { TARGET: target, SECONDS: String(referenceSeconds) });
    backend.kill();
    return measured.result;
  };
  const reference = await measure("null");
  const floor = await measure("durable", kafkaBrokers);

  const { accepted, inconsistent, p99Ms } = result;
  const score = scoreRinha({ summary, accepted, amount, p99Ms, isConsistent: inconsistent === 0 });
  const p99Ratio = p99Ms / reference.p99Ms;
  const nodeMb = peak.bytes / 1024 ** 2;
  console.log(
    `users              1 → ${result.users}, ${accepted} accepted, ${result.refused} refused, ${result.unanswered} without an answer`,
  );
  console.log(`score              ${score.score.toFixed(2)} (bonus ${score.bonus})`);
  console.log(
    `share of ceiling   ${score.shareOfCeiling.toFixed(4)} without bonus (bar ${bars.shareOfCeiling}); ${(100 * score.fallbackShare).toFixed(1)} % at the fallback`,
  );
  console.log(
    `p99                ${p99Ms.toFixed(2)} ms, null backend ${reference.p99Ms.toFixed(2)} ms: ${p99Ratio.toFixed(2)} (bar ${bars.p99Ratio})`,
  );
  console.log(
    `                   ${floor.p99Ms.toFixed(2)} ms with a record in Kafka and nothing else: ${(floor.p99Ms / reference.p99Ms).toFixed(2)}, and ours ${(p99Ms / floor.p99Ms).toFixed(2)} of that`,
  );
  console.log(
    `inconsistent       ${inconsistent} of ${result.checked} windows under load, ${summaryFaults.length} of ${windows.length} at the end`,
  );
  console.log(
    `memory             ${limit === undefined ? "not measured" : `${nodeMb.toFixed(0)} MB at most, all our processes (bar ${bars.nodeMb})`}`,
  );
  for (const { name, bytes } of peak.own)
    console.log(`                   ${(bytes / 1024 ** 2).toFixed(0).padStart(4)} MB ${name}`);
  if (limit !== undefined)
    console.log(`CPU                ${throttledSeconds.toFixed(1)} s at the limit while the load ran`);
  console.log(`drained            ${(drainedMs / 1000).toFixed(1)} s after the end`);
  console.log(renderAudit(audit));
  for (const fault of summaryFaults.slice(0, 3)) console.log(fault);
  const kept = isClean(audit) && summaryFaults.length === 0;
  const fast = score.shareOfCeiling >= bars.shareOfCeiling && p99Ratio <= bars.p99Ratio && inconsistent === 0;
  code = kept && (fast || values.faults) && nodeMb <= bars.nodeMb ? 0 : 1;
} finally {
  for (const close of closers.toReversed()) await close();
  limit?.close();
}
process.exit(code);
