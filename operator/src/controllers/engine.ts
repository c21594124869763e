/**
 * Makes an engine what its resource says, over and over. A pass runs the steps that are due:
 *
 *   topics ───────────────────────┐
 *   migrations ─▶ partitions ─────┼─▶ workloads
 *   settings ─────────────────────┘
 *
 * A step that fails says so in its condition and is tried again on the next pass. Until each was done once no workload
 * starts; later a failing step leaves what runs alone.
 */
import type { Logger } from "@pricing-engine/chassis/log";
import type { PricingEngine } from "../api/resource.ts";
import type {
  Condition,
  EngineStatus,
  PartitionStatus,
  ProcessorStatus,
  Route,
  SourceFeedStatus,
  WorkerStatus,
} from "../api/status.ts";
import { deriveConditions, type StepState } from "../core/conditions.ts";
import { routeOf } from "../core/failover.ts";
import { type Plan, type PlanContext, plan } from "../core/plan.ts";
import { withVerdicts } from "../core/settings.ts";
import { summarize } from "../core/summary.ts";
import { topicsOfGroup } from "../core/topics.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { makeFailover } from "./failover.ts";

export interface EngineDeps {
  readonly runtime: Runtime;
  readonly context: PlanContext;
  readonly logger: Pick<Logger, "info" | "warn">;
  readonly now: () => Date;
  /** Between passes; a change of the resource starts one at once. */
  readonly passEveryMs?: number;
  /** Told of each status, also when only a figure changed. */
  onStatus(status: EngineStatus): void;
}

export interface Engine {
  /** Takes the resource as the one that is wanted. */
  apply(resource: PricingEngine): void;
  /** Notes why a newer resource was not taken; undefined clears it. */
  refuse(message: string | undefined): void;
  status(): EngineStatus;
  /** Ends after the pass in hand. Does not stop the workloads. */
  close(): Promise<void>;
}

const partitionsEveryMs = 3_600_000;
const pruneEveryMs = 600_000;
const firstRetryMs = 50;
const waiting = (message: string): StepState => ({ state: "waiting", reason: "Pending", message });

export function makeEngine(first: PricingEngine, deps: EngineDeps): Engine {
  const { runtime, logger } = deps;
  const stopping = new AbortController();
  let wake = new AbortController();
  let wanted: Plan = plan(first, deps.context);
  let generation = 1;
  let refusal: string | undefined;
  let owned = false;
  let databaseOf: string | undefined;
  let workloadsApplied = false;
  let conditions: readonly Condition[] = [];
  let partitions: readonly PartitionStatus[] = [];
  let sources: readonly SourceFeedStatus[] = [];
  let prunedAtMs = deps.now().getTime();
  const lag = new Map<string, number>();
  const steps = {
    topics: waiting("topics are not made yet"),
    schema: waiting("tables are not made yet"),
    partitions: waiting("partitions are not made yet"),
    settings: waiting("live settings are not written yet"),
  };
  const failover = makeFailover({
    probe: (processor, signal) => runtime.probeProcessor(processor, signal),
    nowMs: () => deps.now().getTime(),
    onVerdict(name, before, after) {
      if (before.state !== after.state) {
        const event = { processor: name, from: before.state, to: after.state, route: route() };
        logger[after.state === "Healthy" ? "info" : "warn"](event, `processor ${name} is ${after.state}`);
        publish();
      }
      // Only while the settings of this plan are out: a verdict is advice, never the first thing that is written.
      if (steps.settings.state !== "done" || wanted.paused) return;
      writeSettings().catch((error: unknown) => logger.warn({ err: error }, "a verdict was not written"));
    },
  });
  let writing: Promise<unknown> = Promise.resolve();
  const done = { topics: "", migrations: "", partitions: "", partitionsAtMs: Number.NEGATIVE_INFINITY };

  function publish(): void {
    deps.onStatus(status());
  }

  async function attempt(step: keyof typeof steps, message: string, run: () => Promise<void>): Promise<boolean> {
    try {
      await run();
      steps[step] = { state: "done", message };
      publish();
      return true;
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      const before = steps[step];
      if (before.state !== "failed" || before.message !== cause) logger.warn({ step, err: error }, "a step failed");
      steps[step] = { state: "failed", message: cause };
      publish();
      return false;
    }
  }

  async function ensureTopics(current: Plan): Promise<boolean> {
    if (done.topics === current.topicsHash) return true;
    return await attempt("topics", `${current.topics.length} topics are there`, async () => {
      await runtime.ensureTopics(current.topics);
      done.topics = current.topicsHash;
    });
  }

  /** Tables of two engines in one database would mix. */
  async function ensureOwned(): Promise<boolean> {
    if (owned) return true;
    return await attempt("schema", "the database is this engine's", async () => {
      databaseOf = await runtime.claimDatabase();
      if (databaseOf !== undefined) {
        throw new Error(`the database is ${databaseOf}'s, and one database serves one engine: give this one its own`);
      }
      owned = true;
    });
  }

  async function ensureSchema(current: Plan): Promise<boolean> {
    if (current.migrations.length > 0 && !(await ensureOwned())) return false;
    const migrations = current.migrations.join(",");
    const migrated =
      done.migrations === migrations ||
      (await attempt("schema", `tables of ${current.migrations.join(" and ")} are up to date`, async () => {
        await Promise.all(current.migrations.map((service) => runtime.migrate(service)));
        done.migrations = migrations;
      }));
    if (!migrated) return false;
    const hash = JSON.stringify(current.partitions);
    const nowMs = deps.now().getTime();
    if (done.partitions === hash && nowMs - done.partitionsAtMs < partitionsEveryMs) return true;
    return await attempt("partitions", "partitions are ahead of time", async () => {
      partitions = await runtime.ensurePartitions(current.partitions);
      done.partitions = hash;
      done.partitionsAtMs = nowMs;
    });
  }

  /** One after the other: the pass and the prober both write. */
  function writeSettings(): Promise<void> {
    const written = writing.then(() => {
      const verdicts = failover.verdicts();
      const { settings, settingsHash } = wanted;
      if (verdicts === undefined) return runtime.applySettings(settings, settingsHash);
      const live = withVerdicts(settings, verdicts);
      return runtime.applySettings(live, `${settingsHash} ${JSON.stringify(live.payment.verdicts)}`);
    });
    writing = written.catch(() => undefined);
    return written;
  }

  function route(): Route | undefined {
    const verdicts = failover.verdicts();
    return verdicts === undefined ? undefined : routeOf(verdicts);
  }

  function processors(): readonly ProcessorStatus[] | undefined {
    const verdicts = failover.verdicts();
    if (verdicts === undefined) return undefined;
    return (["default", "fallback"] as const).map((name) => {
      const { state, minResponseTimeMs, sinceMs } = verdicts[name];
      return { name, state, latency: `${minResponseTimeMs}ms`, since: new Date(sinceMs).toISOString() };
    });
  }

  /** Returns whether everything that was due is done. */
  async function pass(): Promise<boolean> {
    const current = wanted;
    let complete = true;
    if (!current.paused) {
      const results = await Promise.all([
        ensureTopics(current),
        ensureSchema(current),
        attempt("settings", "live settings are in Redis and in the file", writeSettings),
      ]);
      complete = results.every(Boolean);
      // The file of settings is enough for a new process: an absent Redis does not keep it from starting again.
      if (workloadsApplied || complete) {
        await runtime.applyWorkloads(current.workloads);
        workloadsApplied = true;
      }
    }
    // Not before the processes: simulated processors are among them.
    if (workloadsApplied) failover.apply(current.failover);
    await measureLags(current);
    if (current.workloads.some(({ role }) => role === "ingest-api")) {
      // What was last known stays while nobody can be asked.
      sources = await runtime.readSources().catch(() => sources);
    } else sources = [];
    publish();
    await pruneTopics(current);
    return complete;
  }

  /** Housekeeping: a failure harms nothing and is tried again in ten minutes. */
  async function pruneTopics(current: Plan): Promise<void> {
    const nowMs = deps.now().getTime();
    if (!workloadsApplied || current.paused || nowMs - prunedAtMs < pruneEveryMs) return;
    prunedAtMs = nowMs;
    try {
      await runtime.pruneTopics(current.topics);
    } catch (error) {
      logger.warn({ err: error }, "records were not deleted");
    }
  }

  async function measureLags(current: Plan): Promise<void> {
    for (const { group } of current.workloads) {
      if (group === undefined || steps.topics.state !== "done") continue;
      try {
        lag.set(group, await runtime.measureLag(group, topicsOfGroup(group, current.prefix)));
      } catch {
        lag.delete(group);
      }
    }
  }

  function workers(): readonly WorkerStatus[] {
    const replicas = runtime.replicas();
    return wanted.workloads.map(({ role, replicas: desired, group }) => {
      const processes = replicas.filter((replica) => replica.role === role);
      const reason = processes.find((replica) => replica.state !== "ready" && replica.reason !== undefined)?.reason;
      const waitingFor = group === undefined ? undefined : lag.get(group);
      return {
        role,
        replicas: processes.length,
        ready: processes.filter((replica) => replica.state === "ready").length,
        desired,
        ...(waitingFor === undefined ? {} : { lag: waitingFor }),
        ...(reason === undefined ? {} : { reason }),
        processes,
      };
    });
  }

  function status(): EngineStatus {
    const current = workers();
    const { paused, notImplemented } = wanted;
    const probed = { processors: processors(), route: route() };
    const facts = {
      ...steps,
      workers: current,
      workloadsApplied,
      paused,
      notImplemented,
      refusal,
      databaseOf,
      ...probed,
    };
    conditions = deriveConditions(facts, conditions, deps.now().toISOString());
    return {
      observedGeneration: generation,
      conditions,
      workers: current,
      partitions,
      sources,
      ...(probed.processors === undefined ? {} : { processors: probed.processors }),
      ...(probed.route === undefined ? {} : { route: probed.route }),
      notImplemented,
      summary: summarize({ workers: current, partitions }),
    };
  }

  async function run(): Promise<void> {
    const calmMs = deps.passEveryMs ?? 2000;
    let delayMs = firstRetryMs;
    while (!stopping.signal.aborted) {
      wake = new AbortController();
      let complete = false;
      try {
        complete = await pass();
      } catch (error) {
        logger.warn({ err: error }, "a pass failed");
      }
      delayMs = complete ? firstRetryMs : Math.min(calmMs, delayMs * 2);
      await sleep(complete ? calmMs : delayMs, AbortSignal.any([stopping.signal, wake.signal]));
    }
  }

  async function follow(): Promise<void> {
    while (!stopping.signal.aborted) {
      await runtime.changed(stopping.signal);
      publish();
    }
  }

  const running = Promise.all([run(), follow()]);
  return {
    apply(resource) {
      wanted = plan(resource, deps.context);
      generation++;
      refusal = undefined;
      wake.abort();
    },
    refuse(message) {
      refusal = message;
      publish();
    },
    status,
    async close() {
      stopping.abort();
      await Promise.all([running, failover.close()]);
    },
  };
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) return Promise.resolve();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}
