/** The local runtime: Deployments are child processes, Secrets and ConfigMaps files, Jobs processes that end. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { AppError } from "@pricing-engine/chassis/errors";
import type { Logger } from "@pricing-engine/chassis/log";
import type { Policy } from "@pricing-engine/contracts";
import { checkPolicy, type PolicyVerdict } from "../../adapters/check-policy.ts";
import { makeEngineServers } from "../../adapters/engine-servers.ts";
import { readKafkaAccess } from "../../adapters/kafka-access.ts";
import { makeKafkaAdmins } from "../../adapters/kafka-admins.ts";
import { probeProcessor } from "../../adapters/probe-processor.ts";
import { readSources } from "../../adapters/read-sources.ts";
import type { ProcessorName } from "../../core/failover.ts";
import type { Role, Workload } from "../../core/plan.ts";
import type { Runtime } from "../runtime.ts";
import { writeFileAtomic } from "./atomic-file.ts";
import { makeChildRecords } from "./child-records.ts";
import type { Connections } from "./connections.ts";
import { readLines } from "./log-lines.ts";
import type { ProcessTiming } from "./managed-process.ts";
import { makeProcessSpecs } from "./process-specs.ts";
import { makeReplicaCounts } from "./replica-counts.ts";
import { makeSettingsWriter } from "./settings-writer.ts";
import type { StateDir } from "./state-dir.ts";
import { makeSupervisor } from "./supervisor.ts";

export interface LocalRuntimeOptions {
  readonly dir: StateDir;
  readonly namespace: string;
  readonly name: string;
  readonly connections: Connections;
  /** The engine's public port and where the gateway listens. */
  readonly port: number;
  readonly host: string;
  /** Where pricing listens for the gateway: chosen once, so that it is the same after a restart. */
  readonly internalPorts: Readonly<Partial<Record<Role, number>>>;
  /** Where services lie bundled as in their images; undefined: they run from sources. */
  readonly bundles?: string | undefined;
  /** A value of a Secret that the resource names. @throws UserError when it is missing */
  getSecret(name: string, key: string): string;
  /** Changes when the keys that processes read at start did. */
  readonly secretsHash: string;
  readonly logger: Logger;
  readonly timing?: Partial<ProcessTiming>;
  onLine(name: string, line: string): void;
}

export interface LocalRuntime extends Runtime {
  /** Whether pricing takes the policy; asked of the running pricing api. */
  checkPolicy(policy: Policy): Promise<PolicyVerdict>;
  /** Where a simulated processor listens. */
  processorUrl(name: ProcessorName): string;
  /** Where the simulated provider of feeds listens. */
  providerUrl(): string;
  /** Stops every process, the gateway first; then the operator's own connections. */
  stop(): Promise<void>;
  /** At once, by force. */
  kill(): Promise<void>;
}

const graceMs = 10_000;
const migrateTimeoutMs = 120_000;
/** What a child needs of our own environment. The rest may hold secrets, or settings that are not the resource's. */
const inherited = ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "NODE_OPTIONS"];

export function makeLocalRuntime(options: LocalRuntimeOptions): LocalRuntime {
  const { dir, connections, logger } = options;
  const prefix = `${options.namespace}.${options.name}.`;
  const servers = makeEngineServers({
    namespace: options.namespace,
    name: options.name,
    kafka: readKafkaAccess(connections.kafka, connections.kafkaEnv ?? {}),
    admins: makeKafkaAdmins(logger),
    postgresUrl: connections.postgres,
    redisUrl: connections.redis,
    logger,
  });
  const records = makeChildRecords(dir.childrenFile);
  const supervisor = makeSupervisor({
    records,
    timing: { graceMs, ...options.timing },
    onLine: options.onLine,
  });
  const settingsWriter = makeSettingsWriter({ file: dir.settingsFile, prefix, redis: servers.redis, nowMs: Date.now });
  const jobs = new Set<ReturnType<typeof spawn>>();

  const baseEnv = {
    ...Object.fromEntries(
      inherited.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
    ),
    // Sources are stripped of their types once, not at each start. What it has read stays in memory.
    ...(options.bundles === undefined ? { NODE_COMPILE_CACHE: dir.compileCacheDir } : {}),
    SHUTDOWN_GRACE_MS: String(graceMs),
    METRICS_PORT: "0",
  } as Record<string, string>;

  const specs = makeProcessSpecs({ ...options, baseEnv });
  const scales = makeReplicaCounts();
  let workloads: readonly Workload[] = [];

  function superviseAll(): void {
    supervisor.apply(
      workloads.flatMap((workload) =>
        Array.from({ length: scales.of(workload) }, (_, index) => specs.toProcess(workload, index + 1)),
      ),
    );
  }

  return {
    ensureTopics: (topics) => servers.ensureTopics(topics),
    pruneTopics: (topics) => servers.pruneTopics(topics),
    claimDatabase: () => servers.claimDatabase(),
    async migrate(service) {
      const name = `${service}-migrate`;
      const job = spawn(process.execPath, [specs.entryOf(service), "migrate"], {
        env: {
          ...baseEnv,
          ENGINE_NAMESPACE: options.namespace,
          ENGINE_NAME: options.name,
          KAFKA_BROKERS: connections.kafka,
          POSTGRES_URL: connections.postgres,
          REDIS_URL: connections.redis,
        },
        stdio: ["ignore", "pipe", "pipe"],
        timeout: migrateTimeoutMs,
      });
      jobs.add(job);
      if (job.pid !== undefined) records.add(job.pid, name);
      let last = "";
      const note = (line: string) => {
        last = line;
        options.onLine(name, line);
      };
      readLines(job.stdout, note);
      readLines(job.stderr, note);
      try {
        const [code] = (await once(job, "close")) as [number | null];
        if (code !== 0) throw new AppError("internal", { detail: `migrations of ${service} failed: ${last}` });
      } finally {
        jobs.delete(job);
        if (job.pid !== undefined) records.remove(job.pid);
      }
    },
    ensurePartitions: (plans) => servers.ensurePartitions(plans),
    applySettings: (settings, hash) => settingsWriter.write(settings, hash),
    async applyWorkloads(applied) {
      // Whoever reconciles or releases needs what the worker has: the database, and the processors with their tokens.
      const worker = applied.find(({ role }) => role === "payment-worker");
      if (worker !== undefined) {
        const { env } = specs.toProcess(worker, 1);
        writeFileAtomic(dir.commandEnvFile("payment"), JSON.stringify(env), { mode: 0o600 });
      }
      workloads = applied;
      scales.apply(applied);
      superviseAll();
    },
    replicas: () => supervisor.list(),
    readSources: () => readSources(specs.urlOf("ingest-api")),
    lookAtGroup: (group) => servers.lookAtGroup(group),
    countWaiting: (role, settings) => servers.countWaiting(role, settings),
    countForReview: () => servers.countForReview(),
    currentReplicas: async (role) => scales.find(role),
    async scale(role, replicas) {
      scales.set(role, replicas);
      superviseAll();
      return { kind: "scaled" };
    },
    probeProcessor: ({ url, token }, signal) =>
      probeProcessor(specs.resolve(url) ?? "", token === undefined ? undefined : specs.resolve(token), signal),
    changed: (signal) => supervisor.changed(signal),
    checkPolicy: (policy) => checkPolicy(specs.urlOf("pricing-api"), policy),
    processorUrl: (name) => specs.urlOf(`processor-${name}`),
    providerUrl: () => specs.urlOf("provider"),
    async stop() {
      for (const job of jobs) job.kill("SIGTERM");
      // Workers before simulated processors: what they are told last is not left unknown.
      await supervisor.stop(["gateway", "payment-worker"]);
      await servers.close();
    },
    async kill() {
      for (const job of jobs) job.kill("SIGKILL");
      await supervisor.kill();
    },
  };
}
