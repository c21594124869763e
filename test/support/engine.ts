import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { makeLogger } from "@pricing-engine/chassis/log";
import { makeKafka, makeKafkaAdmin, withGroupTopics } from "@pricing-engine/kafka";
import { parseResource } from "@pricing-engine/operator/parse";
import { type EnvValue, type Plan, plan, type Role, type ServiceName } from "@pricing-engine/operator/plan";
import { makePool } from "@pricing-engine/postgres";
import { makeRedis, pushSettings } from "@pricing-engine/redis";
import {
  eventually,
  infra,
  makeTestDatabase,
  makeTestEngine,
  type SpawnedService,
  spawnService,
} from "@pricing-engine/testkit";
import postgres from "postgres";
import { type EngineClient, makeClient } from "./client.ts";
import { findFreePort } from "./free-port.ts";
import { prepareTables, serviceEntry } from "./prepare.ts";

export interface EngineOptions {
  /** `spec.pricing` (false: without it) and `spec.gateway` as in a resource. Scheduled recalculation is off unless asked for. */
  readonly pricing?: Readonly<Record<string, unknown>> | false;
  readonly gateway?: Readonly<Record<string, unknown>>;
  /** `spec.payment`; payments are not run without it. Without processors in it, simulated ones run as processes of the engine. */
  readonly payment?: Readonly<Record<string, unknown>>;
  /** `spec.orders`; no orders are taken without it. Receipts go to a folder unless it says otherwise. */
  readonly orders?: Readonly<Record<string, unknown>>;
  /** `spec.ingest`; feeds are not read and searched without it. */
  readonly ingest?: Readonly<Record<string, unknown>>;
  readonly telemetry?: Readonly<Record<string, unknown>>;
  readonly partitions?: number;
  /** Processes by role; default one of each. Gateways share a port. */
  readonly replicas?: Partial<Record<Role, number>>;
  /** In place of the run's own servers: private ones, or a proxy to them. */
  readonly kafkaBrokers?: string;
  /** Of a server; the engine gets a database of its own only on the run's. */
  readonly postgresUrl?: string;
  readonly redisUrl?: string;
  /** Leads the services to their database in another way than the test, such as through a proxy. */
  readonly reachPostgres?: (url: string) => string;
  /** Entry points in place of the sources', such as the bundles that images hold. */
  readonly entries?: Partial<Record<ServiceName, string>>;
  /** More variables for the processes of a role. */
  readonly env?: Partial<Record<Role, Readonly<Record<string, string>>>>;
}

export interface Engine extends AsyncDisposable {
  readonly prefix: string;
  /** Of the gateways. */
  readonly url: string;
  readonly client: EngineClient;
  readonly adminKey: string;
  /** The engine's database. */
  readonly sql: postgres.Sql;
  readonly databaseUrl: string;
  /** Where receipts are written, unless the resource says otherwise. */
  readonly receiptsFolder: string;
  /** Where the processes of an internal role listen. */
  urlOf(role: Role): string;
  /** Processes of a role that were started and not replaced. */
  processes(role: Role): readonly SpawnedService[];
  start(role: Role, env?: Readonly<Record<string, string>>): Promise<SpawnedService>;
  /** Live settings, as the operator pushes them when these sections of the resource are edited. */
  edit(sections: Pick<EngineOptions, "pricing" | "gateway" | "orders">): Promise<void>;
}

const compileCache = join(tmpdir(), "pricing-engine-compile-cache");
const silent = makeLogger({ name: "e2e", level: "fatal" });

/**
 * A whole engine on the run's servers: the operator's own plan (topics, tables, partitions, settings, environments),
 * with processes that a test may kill, pause and multiply. Each has names, topics and a database of its own.
 */
export async function startEngine(options: EngineOptions = {}): Promise<Engine> {
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).toReversed()) await closer();
  };
  try {
    return await wire(options, (closer) => closers.push(closer), close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function wire(
  options: EngineOptions,
  defer: (closer: () => unknown) => void,
  close: () => Promise<void>,
): Promise<Engine> {
  const { namespace, name, prefix } = makeTestEngine();
  const planned = planOf({ namespace, name }, options);
  const kafkaBrokers = options.kafkaBrokers ?? infra().kafkaBrokers;
  const redisUrl = options.redisUrl ?? infra().redisUrl;
  const [databaseUrl] = await Promise.all([
    makeDatabase(options, planned, defer),
    makeTopics(kafkaBrokers, planned, defer),
  ]);
  const sql = postgres(databaseUrl, { max: 2, onnotice: () => {} });
  defer(() => sql.end({ timeout: 5 }));

  const folder = await mkdtemp(join(tmpdir(), "pricing-engine-e2e-"));
  defer(() => rm(folder, { recursive: true, force: true }));
  const receiptsFolder = join(folder, "receipts");
  const adminKey = `admin-${randomBytes(12).toString("hex")}`;
  const files = {
    settings: join(folder, "settings.json"),
    "signing-keys": join(folder, "signing-keys.json"),
    "admin-key": join(folder, "admin-key"),
    "source-tokens": join(folder, "source-tokens.json"),
    "processor-default": join(folder, "processor-default.ndjson"),
    "processor-fallback": join(folder, "processor-fallback.ndjson"),
  };
  const signingKeys = { keys: [{ id: "k1", secret: randomBytes(32).toString("base64") }] };
  let revision = 1;
  await Promise.all([
    writeFile(files.settings, JSON.stringify({ epoch: 1, revision, settings: planned.settings })),
    writeFile(files["signing-keys"], JSON.stringify(signingKeys)),
    writeFile(files["admin-key"], adminKey),
    writeFile(files["source-tokens"], "{}"),
  ]);

  const ports: Partial<Record<Role, number>> = {};
  for (const { exposure, role } of planned.workloads) if (exposure !== "none") ports[role] = await findFreePort();
  const urlOf = (role: Role): string => `http://127.0.0.1:${ports[role] ?? 0}`;
  const connections = {
    kafka: kafkaBrokers,
    postgres: options.reachPostgres?.(databaseUrl) ?? databaseUrl,
    redis: redisUrl,
  };
  const resolve = (value: EnvValue): string | undefined => {
    switch (value.from) {
      case "value":
        return value.value;
      case "connection":
        return connections[value.connection];
      case "file":
        return files[value.file];
      case "replica":
        return undefined;
      case "workload":
        return urlOf(value.role);
      case "receipts":
        return value.part === "directory" ? receiptsFolder : undefined;
      case "secret":
        throw new Error(`a test engine has no secret ${value.secret}`);
    }
  };
  const processes = new Map<SpawnedService, Role>();
  const start = async (role: Role, extra: Readonly<Record<string, string>> = {}): Promise<SpawnedService> => {
    const workload = planned.workloads.find((each) => each.role === role);
    if (workload === undefined) throw new Error(`the plan has no ${role}`);
    const own = Object.entries(workload.env).flatMap(([key, value]) => {
      const resolved = resolve(value);
      return resolved === undefined ? [] : [[key, resolved]];
    });
    const env = {
      LOG_LEVEL: "warn",
      HTTP_PORT: String(ports[role] ?? 0),
      // As the local runtime does: sources are stripped of their types once, not at each start, which keeps 17 MB of WebAssembly out, too.
      NODE_COMPILE_CACHE: compileCache,
      ...Object.fromEntries(own),
    };
    const entry = options.entries?.[workload.service] ?? serviceEntry(workload.service);
    const spec = { entry, args: [workload.argument], timeoutMs: 120_000 };
    const service = await spawnService({ ...spec, env: { ...env, ...options.env?.[role], ...extra } });
    processes.set(service, role);
    void service.exited.then(() => processes.delete(service));
    return service;
  };
  defer(() => Promise.all([...processes.keys()].map((service) => service.stop())));
  const wanted = planned.workloads.flatMap(({ role }) =>
    Array.from({ length: options.replicas?.[role] ?? 1 }, () => role),
  );
  await settleAll(wanted.map((role) => start(role)));

  const url = urlOf("gateway");
  const client = makeClient(url, options.gateway?.auth === "apiKey" ? adminKey : undefined);
  defer(() => client.close());
  return {
    prefix,
    url,
    client,
    adminKey,
    sql,
    databaseUrl,
    receiptsFolder,
    urlOf,
    processes: (role) => [...processes].flatMap(([service, of]) => (of === role ? [service] : [])),
    start,
    async edit(sections) {
      const { settings } = planOf({ namespace, name }, { ...options, ...sections });
      revision += 1;
      await writeFile(files.settings, JSON.stringify({ epoch: 1, revision, settings }));
      const redis = makeRedis({ url: redisUrl, logger: silent, name: "e2e" });
      try {
        await eventually(() => pushSettings(redis, prefix, { epoch: 1, revision, settings }));
      } finally {
        await redis.close();
      }
    },
    [Symbol.asyncDispose]: close,
  };
}

/** All, also when one of them fails: what has started must be known to be stopped. */
async function settleAll(starts: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(starts)) if (result.status === "rejected") throw result.reason;
}

function planOf(metadata: { namespace: string; name: string }, options: EngineOptions): Plan {
  const partitions = options.partitions ?? 4;
  const document = {
    apiVersion: "pricing-engine.dev/v1alpha1",
    kind: "PricingEngine",
    metadata,
    spec: {
      kafka: { brokers: ["named-by-the-test:9092"], topics: { partitions } },
      gateway: options.gateway ?? {},
      ...(options.pricing === false ? {} : { pricing: { recalculateEvery: "0s", ...options.pricing } }),
      ...(options.payment === undefined ? {} : { payment: options.payment }),
      ...(options.orders === undefined ? {} : { orders: options.orders }),
      ...(options.ingest === undefined ? {} : { ingest: options.ingest }),
      telemetry: { logLevel: "warn", ...options.telemetry },
    },
  };
  const parsed = parseResource(JSON.stringify(document));
  if (!parsed.ok) throw new Error(`the engine is refused: ${JSON.stringify(parsed.problems)}`);
  const hash = (text: string) => createHash("sha256").update(text).digest("hex");
  return plan(parsed.resource, { hash, canSharePort: true });
}

async function makeDatabase(
  options: EngineOptions,
  planned: Plan,
  defer: (closer: () => unknown) => void,
): Promise<string> {
  const { postgresUrl } = options;
  const migrate = (url: string): Promise<void> => prepare(url, planned);
  if (postgresUrl !== undefined) {
    await migrate(postgresUrl);
    return postgresUrl;
  }
  const database = await makeTestDatabase({ template: `engine of ${planned.migrations.join(" and ")}`, migrate });
  defer(() => database.drop());
  return database.url;
}

/** Tables and partitions, as the operator makes them. */
async function prepare(url: string, planned: Plan): Promise<void> {
  const pool = makePool({ url, max: 2, applicationName: "e2e", logger: silent });
  try {
    await prepareTables(url, pool, planned);
  } finally {
    await pool.close();
  }
}

async function makeTopics(brokers: string, planned: Plan, defer: (closer: () => unknown) => void): Promise<void> {
  const kafka = makeKafka({ brokers: brokers.split(","), clientId: "e2e", logger: silent });
  const admin = makeKafkaAdmin({ kafka });
  defer(() => admin.close());
  const specs = planned.topics.flatMap(({ groups, ...topic }) => withGroupTopics(topic, [...groups]));
  await admin.ensureTopics(specs);
  defer(() =>
    // A broker that a test has stopped takes its topics with it.
    Promise.race([admin.deleteTopics(specs.map(({ topic }) => topic)).catch(() => undefined), delay(5_000)]),
  );
}
