/** The local runtime: Deployments are child processes, Secrets and ConfigMaps files, Jobs processes that end. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { AppError } from "@pricing-engine/chassis/errors";
import type { Logger } from "@pricing-engine/chassis/log";
import { type Policy, retryTopic, sourcesResponse } from "@pricing-engine/contracts";
import { makeKafka, makeKafkaAdmin, withGroupTopics } from "@pricing-engine/kafka";
import { makePool } from "@pricing-engine/postgres";
import { makeRedis } from "@pricing-engine/redis";
import { claimDatabase } from "../../adapters/database-owner.ts";
import { lookAtGroup } from "../../adapters/group-look.ts";
import { runPartitions } from "../../adapters/partitions.ts";
import { countWaiting } from "../../adapters/waiting-work.ts";
import type { ProcessorName } from "../../core/failover.ts";
import type { Role, Workload } from "../../core/plan.ts";
import type { Runtime } from "../runtime.ts";
import { writeFileAtomic } from "./atomic-file.ts";
import { checkPolicy, type PolicyVerdict } from "./check-policy.ts";
import { makeChildRecords } from "./child-records.ts";
import type { Connections } from "./connections.ts";
import { readLines } from "./log-lines.ts";
import type { ProcessTiming } from "./managed-process.ts";
import { probeProcessor } from "./probe-processor.ts";
import { makeProcessSpecs, serviceEntry } from "./process-specs.ts";
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
  const kafka = makeKafka({
    brokers: connections.kafka.split(","),
    clientId: `${prefix}operator`,
    logger: logger.child({ part: "kafka" }),
  });
  const admin = makeKafkaAdmin({ kafka });
  const redis = makeRedis({ url: connections.redis, logger, name: `${prefix}operator` });
  const pool = makePool({ url: connections.postgres, max: 2, applicationName: `${prefix}operator`, logger });
  const records = makeChildRecords(dir.childrenFile);
  const supervisor = makeSupervisor({
    records,
    timing: { graceMs, ...options.timing },
    onLine: options.onLine,
  });
  const settingsWriter = makeSettingsWriter({ file: dir.settingsFile, prefix, redis, nowMs: Date.now });
  const jobs = new Set<ReturnType<typeof spawn>>();

  const baseEnv = {
    ...Object.fromEntries(
      inherited.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
    ),
    // Sources are stripped of their types once, not at each start.
    NODE_COMPILE_CACHE: dir.compileCacheDir,
    SHUTDOWN_GRACE_MS: String(graceMs),
    // glibc would keep up to eight heaps per core for threads that hardly allocate.
    MALLOC_ARENA_MAX: "2",
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
    async ensureTopics(topics) {
      await admin.ensureTopics(topics.flatMap(({ groups, ...topic }) => withGroupTopics(topic, [...groups])));
    },
    async pruneTopics(topics) {
      for (const { groups, topic } of topics) {
        if (groups.length === 0) continue;
        await admin.deleteCommittedRecords(topic, [...groups]);
        for (const group of groups) await admin.deleteCommittedRecords(retryTopic(topic, group), [group]);
      }
    },
    async claimDatabase() {
      const engine = `${options.namespace}/${options.name}`;
      const owner = await claimDatabase(pool, engine);
      return owner === engine ? undefined : owner;
    },
    async migrate(service) {
      const name = `${service}-migrate`;
      const job = spawn(process.execPath, [serviceEntry(service), "migrate"], {
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
    async ensurePartitions(plans) {
      const reports = [];
      for (const { table, spec } of plans)
        reports.push(...(await runPartitions(pool, [table], spec, Date.now, { logger })));
      for (const { table, failures, problems, aheadUntilMs } of reports) {
        const failed = failures.map(({ action, error }) => `${action.kind} ${action.name}: ${String(error)}`);
        const odd = problems.map(({ name, problem }) => `${name}: ${problem}`);
        if (failed.length + odd.length > 0 || aheadUntilMs === undefined) {
          const what = [...failed, ...odd].join("; ") || "no partition for now";
          throw new AppError("internal", { detail: `partitions of ${table}: ${what}` });
        }
      }
      return reports.map(({ table, months, aheadUntilMs }) => ({
        table,
        months,
        aheadUntil: new Date(aheadUntilMs ?? 0).toISOString(),
      }));
    },
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
    async readSources() {
      const answer = await fetch(`${specs.urlOf("ingest-api")}/api/v1/sources`, { signal: AbortSignal.timeout(1500) });
      const { sources } = sourcesResponse.parse(await answer.json());
      return sources.map(({ name, last_success, state }) => ({ name, lastSuccess: last_success, state }));
    },
    lookAtGroup: (group) => lookAtGroup(admin, group),
    countWaiting: (role, settings) => countWaiting(pool, role, settings),
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
      await Promise.allSettled([admin.close(), redis.close(), pool.close()]);
    },
    async kill() {
      for (const job of jobs) job.kill("SIGKILL");
      await supervisor.kill();
    },
  };
}
