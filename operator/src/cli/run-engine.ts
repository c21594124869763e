/**
 * The operator's process: servers, engine, demo, and staying up until it is told to stop. Whatever happens, it leaves
 * nothing running: processes end with it, servers by their own watchdog, and the next start repairs what is left.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { makeLogger } from "@pricing-engine/chassis/log";
import { canStartS3AtOnce, InfraError, type Infra as InfraOf, startInfra } from "@pricing-engine/hack/infra";
import { makePool } from "@pricing-engine/postgres";
import { claimDatabase, makeOwnDatabase } from "../adapters/database-owner.ts";
import { formatProblems, type ParsedResource, parseResource } from "../api/parse.ts";
import type { PricingEngine } from "../api/resource.ts";
import type { Condition, EngineStatus } from "../api/status.ts";
import { makeEngine } from "../controllers/engine.ts";
import { isReady } from "../core/conditions.ts";
import type { Connection } from "../core/plan.ts";
import { writeFileAtomic } from "../runtime/local/atomic-file.ts";
import { endLeftovers } from "../runtime/local/child-records.ts";
import { findNeededInfra, needsReceipts, resolveConnections } from "../runtime/local/connections.ts";
import { findInternalPorts } from "../runtime/local/internal-ports.ts";
import { makeLocalRuntime } from "../runtime/local/local-runtime.ts";
import { type LogSink, makeLogSink, shortenLogLine } from "../runtime/local/log-sink.ts";
import { findListenProblem } from "../runtime/local/port-owner.ts";
import {
  ensureAdminKey,
  ensureSigningKeys,
  getSecretValue,
  requireSecrets,
  writeSourceTokens,
} from "../runtime/local/secrets.ts";
import {
  findRunningOperator,
  freeBytes,
  type OperatorLock,
  openStateDir,
  releaseLock,
  type StateDir,
  takeLock,
} from "../runtime/local/state-dir.ts";
import { describeError, UserError } from "../runtime/local/user-error.ts";
import { watchText } from "../runtime/local/watch-file.ts";
import { runDemo } from "./demo.ts";
import { makeDemoCaller } from "./demo-caller.ts";
import { runIngestDemo } from "./ingest-demo.ts";
import { addressOf, type LocalOptions } from "./options.ts";
import { runOrderDemo } from "./order-demo.ts";
import { runPaymentDemo } from "./payment-demo.ts";
import { makeProgress, type Progress, seconds } from "./progress.ts";
import { makeScalingJournal } from "./scaling-journal.ts";
import type { LocalStatus } from "./status.ts";

type InfraService = Connection | "s3";
type Infra = InfraOf<InfraService>;
type AcceptedResource = Extract<ParsedResource, { ok: true }> & { readonly text: string };

export interface RunHooks {
  say(line: string): void;
  /** Ready, and shown. */
  onUp(): void;
  /** Aborted when the person wants it to stop. */
  readonly stop: AbortSignal;
}

const minFreeBytes = 200 * 1024 * 1024;
const quiet = { warn: () => undefined, info: () => undefined, debug: () => undefined };
const statusEveryMs = 2000;
const stalledLimitMs = 20_000;

/** Runs until `hooks.stop`. @throws UserError with what to do when it cannot start */
export async function runEngine(options: LocalOptions, hooks: RunHooks): Promise<void> {
  const accepted = readResource(options.file);
  const { metadata } = accepted.resource;
  const engineName = `${metadata.namespace}/${metadata.name}`;
  const address = addressOf(options.host, options.port);
  const dir = openStateDir(options.stateDir);
  await refuseToCollide(dir, options, accepted);

  const progress = makeProgress(hooks.say);
  const facts = { engine: engineName, address, resourceFile: options.file, infraDir: options.infraDir };
  const other = takeLock(dir, facts);
  if (other !== undefined) throw runsAlready(other);
  const sink = makeLogSink(dir.logFile);
  hooks.say(`Starting PricingEngine ${engineName} from ${options.file}`);
  const leftovers = await endLeftovers(dir.childrenFile, 2000);
  if (leftovers.length > 0) hooks.say(`  ended what an earlier start left running: ${leftovers.join(", ")}`);
  let infra: Infra | undefined;
  try {
    infra = await startServers(accepted, { options, dir, progress, sink, hooks });
    await runWithServers({ accepted, options, hooks, dir, sink, progress, infra, engineName, address });
  } catch (error) {
    // Not a failure: a start that was called off.
    if (!(hooks.stop.aborted && error instanceof InfraError)) throw error;
  } finally {
    await infra?.stop();
    sink.close();
    releaseLock(dir);
  }
}

function readResource(file: string): AcceptedResource {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new UserError(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const parsed = parseResource(text);
  if (parsed.ok) return { ...parsed, text };
  throw new UserError(`${file} is refused:\n${indent(formatProblems(parsed.problems))}`);
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}

function runsAlready({ engine, pid, address }: OperatorLock): UserError {
  return new UserError(
    `${engine} runs already (pid ${pid}) at ${address}: npm run status shows it, npm stop ends it. ` +
      "For a second engine give --state-dir, --infra-dir and --port",
  );
}

async function refuseToCollide(dir: StateDir, options: LocalOptions, { resource }: AcceptedResource): Promise<void> {
  const running = findRunningOperator(dir);
  if (running !== undefined && running.pid !== process.pid) throw runsAlready(running);
  const free = freeBytes(dir.path);
  if (free < minFreeBytes) {
    throw new UserError(
      `the disk of ${dir.path} has ${Math.floor(free / 1024 ** 2)} MB left and at least ${minFreeBytes / 1024 ** 2} are needed: ` +
        "free some space, or choose another place with --state-dir and --infra-dir",
    );
  }
  // A leftover of a killed start may still hold the port for a moment: it is ended first.
  await endLeftovers(dir.childrenFile, 2000);
  const problem = resource.spec.gateway && (await findListenProblem(options.port, options.host));
  if (problem !== undefined) throw new UserError(problem);
}

type Starting = Pick<Running, "options" | "dir" | "progress" | "sink" | "hooks">;

async function startServers({ resource }: AcceptedResource, starting: Starting): Promise<Infra | undefined> {
  const { options, progress, sink, hooks } = starting;
  const services: InfraService[] = [...findNeededInfra(resource)];
  if (needsReceipts(resource.spec) && (await choosesS3(starting))) services.push("s3");
  if (services.length === 0) return undefined;
  return await progress.step(`${nameServers(services)} answer`, (note) =>
    startInfra({
      dir: options.infraDir,
      services,
      ports: "fixed",
      lifetime: "session",
      signal: hooks.stop,
      log: (line) => {
        sink.write("infra", line);
        note(line);
      },
    }),
  );
}

/**
 * Receipts that the resource places nowhere go to our own S3 server, unless that would have to be built first, which takes minutes
 * (docs/decisions/0025). They stay where the first ones went.
 */
async function choosesS3({ options, dir, sink, hooks }: Starting): Promise<boolean> {
  const hasReceipts = existsSync(dir.receiptsDir) && readdirSync(dir.receiptsDir).length > 0;
  if (!hasReceipts && (await canStartS3AtOnce(options.infraDir, (line) => sink.write("infra", line)))) return true;
  hooks.say(`  receipts are written to ${dir.receiptsDir}`);
  return false;
}

const serverNames = { kafka: "Kafka", postgres: "Postgres", redis: "Redis", s3: "S3" } as const;

function nameServers(services: readonly InfraService[]): string {
  return new Intl.ListFormat("en-GB").format(services.map((service) => serverNames[service]));
}

interface Running {
  readonly accepted: AcceptedResource;
  readonly options: LocalOptions;
  readonly hooks: RunHooks;
  readonly dir: StateDir;
  readonly sink: LogSink;
  readonly progress: Progress;
  readonly infra: Infra | undefined;
  readonly engineName: string;
  readonly address: string;
}

async function runWithServers(running: Running): Promise<void> {
  const { accepted, options, hooks, dir, sink, progress, infra, engineName, address } = running;
  if (hooks.stop.aborted) return;
  const { resource, secrets, text } = accepted;
  const endpoints = await withOwnDatabase(infra?.endpoints ?? {}, engineName, hooks.say);
  const connections = resolveConnections(resource, secrets, dir, endpoints);
  writeFileAtomic(dir.connectionsFile, JSON.stringify(connections), { mode: 0o600 });
  const signingKeys = ensureSigningKeys(dir, Date.now());
  // Missing ones are said now, not when a worker is to start.
  requireSecrets(resource, (name, key) => getSecretValue(dir, secrets, name, key));
  const adminRef = resource.spec.gateway?.adminKeySecretRef;
  const adminKey = ensureAdminKey(dir, adminRef && getSecretValue(dir, secrets, adminRef.name, "token"));
  const sourceTokens = writeSourceTokens(dir, resource, secrets);
  const show = (name: string, line: string) => {
    sink.write(name, line);
    const shown = options.verbose ? line : shortenLogLine(line);
    if (shown !== undefined && (options.verbose || isUp)) hooks.say(`[${name}] ${shown}`);
  };
  let isUp = false;

  const internalPorts = await findInternalPorts();
  const runtime = makeLocalRuntime({
    dir,
    namespace: resource.metadata.namespace,
    name: resource.metadata.name,
    connections,
    port: options.port,
    host: options.host,
    internalPorts,
    bundles: options.bundles,
    getSecret: (name, key) => getSecretValue(dir, secrets, name, key),
    secretsHash: sha256(JSON.stringify([signingKeys, adminKey, sourceTokens])),
    logger: makeLogger({
      name: "operator",
      level: "info",
      destination: { write: (line: string) => sink.write("operator", line.trimEnd()) },
    }),
    onLine: show,
  });
  const ready = Promise.withResolvers<void>();
  let note: (detail: string) => void = () => undefined;
  let latest: LocalStatus | undefined;
  const engine = makeEngine(resource, {
    runtime,
    context: {
      hash: sha256,
      canSharePort: process.platform === "linux",
      samplesUrl: `http://127.0.0.1:${internalPorts.provider}/feeds/samples`,
    },
    logger: makeLogger({
      name: "operator",
      level: "info",
      destination: { write: (line: string) => show("operator", line.trimEnd()) },
    }),
    now: () => new Date(),
    scaleDownWindowMs: options.scaleDownWindowMs,
    ...(options.scalingJournal === undefined ? {} : { onDecision: makeScalingJournal(options.scalingJournal) }),
    onStatus(status) {
      latest = describeStatus(status, { engine: engineName, address, dir });
      note(findMessage(status.conditions, "Ready"));
      if (isReady(status.conditions)) ready.resolve();
    },
  });
  const saveStatus = () => {
    if (latest !== undefined)
      writeFileAtomic(dir.statusFile, JSON.stringify({ ...latest, updatedAt: new Date().toISOString() }));
  };
  const saving = setInterval(() => tolerate(saveStatus), statusEveryMs);
  const refuse = (problems: string) => {
    hooks.say(`[operator] ${options.file} is refused, the last good one stays in force:\n${indent(problems)}`);
    engine.refuse(problems.replaceAll("\n", "; "));
  };
  const judgePolicy = async ({ spec }: PricingEngine): Promise<string | undefined> => {
    if (spec.pricing?.policy === undefined) return undefined;
    const verdict = await runtime.checkPolicy(spec.pricing.policy);
    return verdict.kind === "refused" ? verdict.problems.join("\n") : undefined;
  };
  let lastEdit = 0;
  const takeOver = async (text: string) => {
    const edit = ++lastEdit;
    const parsed = parseResource(text);
    if (!parsed.ok) return refuse(formatProblems(parsed.problems));
    const refusal = findUnchangeable(accepted, parsed) ?? (await judgePolicy(parsed.resource));
    // A later edit came while this one was judged.
    if (edit !== lastEdit) return;
    if (refusal !== undefined) return refuse(refusal);
    hooks.say(`[operator] ${options.file} changed: taking it over`);
    engine.apply(parsed.resource);
  };
  const watching = watchText(options.file, text, (changed) => void takeOver(changed));

  try {
    await progress.step("the engine is ready", async (detail) => {
      note = detail;
      const limit = options.detach ? rejectWhenLate(() => latest, options.timeoutMs) : undefined;
      try {
        await Promise.race([ready.promise, aborted(hooks.stop), ...(limit === undefined ? [] : [limit.promise])]);
      } finally {
        limit?.clear();
        note = () => undefined;
      }
    });
    tolerate(saveStatus);
    if (!hooks.stop.aborted) {
      const refusal = await judgePolicy(resource);
      if (refusal !== undefined) refuse(refusal);
      const { gateway, ingest, orders, payment, pricing } = resource.spec;
      if (options.demo && gateway !== undefined) {
        const caller = makeDemoCaller({
          address,
          ...(gateway.auth === "apiKey" ? { adminKeyFile: dir.adminKeyFile } : {}),
          say: hooks.say,
        });
        const onFirstPrice = () => hooks.say(`  ✓ first price  ${seconds(progress.elapsedMs())} after the start`);
        const show = async () => {
          const run = Date.now().toString(36);
          if (pricing !== undefined) await runDemo({ caller, run, onFirstPrice });
          const provider = ingest !== undefined && ingest.sources === undefined ? runtime.providerUrl() : undefined;
          if (ingest !== undefined) await runIngestDemo({ caller, simulated: provider, stop: hooks.stop });
          const simulated = payment?.processors === undefined ? runtime.processorUrl("default") : undefined;
          if (payment !== undefined) await runPaymentDemo({ caller, simulated, stop: hooks.stop });
          if (orders !== undefined) await runOrderDemo({ caller, run, stop: hooks.stop });
        };
        await show().catch((error: unknown) => {
          const message = `the engine is ready, but the demo failed: ${describeError(error)}`;
          if (options.detach) throw new UserError(message, { cause: error });
          // Someone is there to look at what runs.
          hooks.say(message);
        });
      }
      isUp = true;
      for (const line of banner(running, latest)) hooks.say(line);
      hooks.onUp();
      await aborted(hooks.stop);
    }
  } finally {
    watching.close();
    clearInterval(saving);
    // Before that the key itself is answered.
    if (isUp || !hooks.stop.aborted) hooks.say("Stopping …");
    await Promise.all([engine.close(), runtime.stop()]);
    tolerate(() => {
      if (latest !== undefined)
        writeFileAtomic(dir.statusFile, JSON.stringify({ ...latest, workers: [], conditions: [] }));
    });
  }
}

/**
 * Our servers' first database belongs to the first engine. Each other one gets a database of its own there, so that engines
 * that share servers, at once or in turn, never price each other's products.
 */
async function withOwnDatabase<E extends Partial<Infra["endpoints"]>>(
  endpoints: E,
  engineName: string,
  say: (line: string) => void,
): Promise<E> {
  const url = endpoints.postgresUrl;
  if (url === undefined) return endpoints;
  const pool = makePool({ url, max: 2, applicationName: "pricing-engine-start", logger: quiet });
  try {
    const owner = await claimDatabase(pool, engineName);
    if (owner === engineName) return endpoints;
    say(`  the servers hold the data of ${owner}: ${engineName} gets a database of its own there`);
    const database = await makeOwnDatabase(pool, engineName);
    const on = (address: string) => Object.assign(new URL(address), { pathname: `/${database}` }).href;
    const { postgresReplicaUrl: replica } = endpoints;
    return {
      ...endpoints,
      postgresUrl: on(url),
      ...(replica === undefined ? {} : { postgresReplicaUrl: on(replica) }),
    };
  } finally {
    await pool.close();
  }
}

type Identity = Pick<AcceptedResource, "resource" | "secrets">;

/** Addresses are given to processes at their start: a change of them, or of the name, needs a new start. */
function findUnchangeable(before: Identity, after: Identity): string | undefined {
  const facts = ({ resource: { metadata, spec }, secrets }: Identity) => {
    const { name, namespace } = metadata;
    const { brokers, caSecretRef, sasl, tls } = spec.kafka ?? {};
    const tokens = spec.ingest?.sources?.flatMap((source) =>
      source.secretRef ? [source.name, source.secretRef.name] : [],
    );
    const { primary, replica } = spec.postgres ?? {};
    return JSON.stringify([
      name,
      namespace,
      brokers,
      sasl,
      tls,
      caSecretRef,
      primary,
      replica,
      spec.redis,
      tokens ?? [],
      [...secrets],
    ]);
  };
  if (facts(before) === facts(after)) return undefined;
  return "the name, the addresses of Kafka, Postgres and Redis, Secrets and who uses them need a new start: npm stop, npm start";
}

function describeStatus(status: EngineStatus, facts: { engine: string; address: string; dir: StateDir }): LocalStatus {
  return {
    engine: facts.engine,
    address: facts.address,
    docs: `${facts.address}/docs`,
    log: facts.dir.logFile,
    updatedAt: new Date().toISOString(),
    ...status,
  };
}

function findMessage(conditions: readonly Condition[], type: Condition["type"]): string {
  return conditions.find((condition) => condition.type === type)?.message ?? "";
}

/** Rejects when Ready takes too long, or when a crash loop shows no sign of ending. */
function rejectWhenLate(latest: () => LocalStatus | undefined, timeoutMs: number) {
  const { promise, reject } = Promise.withResolvers<never>();
  const startedAt = performance.now();
  let stalledSince: number | undefined;
  const timer = setInterval(() => {
    const status = latest();
    const conditions = status?.conditions ?? [];
    const stalled = conditions.some(({ type, status: value }) => type === "Stalled" && value === "True");
    stalledSince = stalled ? (stalledSince ?? performance.now()) : undefined;
    const late = performance.now() - startedAt > timeoutMs;
    if (!late && (stalledSince === undefined || performance.now() - stalledSince < stalledLimitMs)) return;
    const lastLog = (status?.workers ?? []).flatMap(({ processes }) => processes).flatMap((each) => each.lastLog ?? []);
    const log = lastLog.length === 0 ? "" : `\n${indent(lastLog.slice(-12).join("\n"))}`;
    reject(new UserError(`not ready: ${findMessage(conditions, "Ready")}${log}`));
  }, 500);
  return { promise, clear: () => clearInterval(timer) };
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}

function banner({ options, address, dir, progress, engineName }: Running, status: LocalStatus | undefined): string[] {
  return [
    "",
    `${engineName} is up, ${seconds(progress.elapsedMs())} after the start.`,
    `  API      ${address}`,
    `  Docs     ${address}/docs   (${address}/openapi.json)`,
    `  Status   npm run status`,
    `  Log      ${dir.logFile}`,
    ...(status?.notImplemented ?? []).map(({ path, message }) => `  Not yet  ${path}: ${message}`),
    `  Edit     ${options.file}: a change is live within two seconds`,
    options.detach ? "  Stop     npm stop" : "  Stop     Ctrl-C",
  ];
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Writing the status must not end an engine that runs: a full disk says so elsewhere. */
function tolerate(run: () => void): void {
  try {
    run();
  } catch {
    // Tried again in two seconds.
  }
}
