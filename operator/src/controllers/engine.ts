/**
 * Makes an engine what its resource says, over and over. A pass runs the steps that are due:
 *
 *   topics ───────────────────────┐
 *   migrations ─▶ partitions ─────┼─▶ workloads
 *   settings ─────────────────────┘
 *
 * A step that fails says so in its condition and is tried again on the next pass. Until each was done once no workload
 * starts; later a failing step leaves what runs alone, and a change of the workloads waits for the topics and migrations of its own.
 */
import type { Logger } from "@pricing-engine/chassis/log";
import { withSpan } from "@pricing-engine/chassis/telemetry";
import type { PricingEngine } from "../api/resource.ts";
import type { Condition, EngineStatus, Route, SourceFeedStatus } from "../api/status.ts";
import { deriveConditions, isReady, type Problem } from "../core/conditions.ts";
import { type ProcessorName, routeOf, type Verdict } from "../core/failover.ts";
import { type Plan, type PlanContext, plan, type Role } from "../core/plan.ts";
import type { ScaleDecision } from "../core/scale.ts";
import { summarize } from "../core/summary.ts";
import { deniedReason, deniedRetryMs } from "../kube/kube-error.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { makeDecisionJournal } from "./decision-journal.ts";
import { makeFailover } from "./failover.ts";
import { makeLiveSettings } from "./live-settings.ts";
import { dueOf, expiredNames, processorStatuses, scalingFacts, workerStatus } from "./observed.ts";
import { makeScaling, type ScaleInput } from "./scaling.ts";
import { sleep } from "./sleep.ts";
import { makeSteps } from "./steps.ts";

export interface EngineDeps {
  readonly runtime: Runtime;
  readonly context: PlanContext;
  readonly logger: Pick<Logger, "info" | "warn">;
  readonly now: () => Date;
  /** Between passes; a change of the resource starts one at once. */
  readonly passEveryMs?: number;
  /** What was said of it before, by whoever led then. Was it ready, nothing else is said until everything was looked at. */
  readonly previous?: readonly Condition[] | undefined;
  /** How long less must be needed before a worker goes. Default a minute. */
  readonly scaleDownWindowMs?: number | undefined;
  /** Told of each look at a role that scales, and what came of it. */
  onDecision?(role: Role, decision: ScaleDecision, seen: ScaleInput): void;
  /** Told of each status, also when only a figure changed. */
  onStatus(status: EngineStatus): void;
}

export interface Engine {
  /** Takes the resource as the one that is wanted. */
  apply(resource: PricingEngine): void;
  /** Notes why a newer resource was not taken; undefined clears it. */
  refuse(problem: string | Problem | undefined): void;
  status(): EngineStatus;
  /** Ends after the pass in hand. Does not stop the workloads. */
  close(): Promise<void>;
}

const pruneEveryMs = 600_000;
/** Of what a person is to look at: seconds do not matter. */
const countEveryMs = 10_000;
const firstRetryMs = 50;

export function makeEngine(first: PricingEngine, deps: EngineDeps): Engine {
  const { runtime, logger } = deps;
  const stopping = new AbortController();
  let wake = new AbortController();
  let wanted: Plan = plan(first, deps.context);
  let generation = 1;
  let refusal: string | Problem | undefined;
  let workloadsApplied = false;
  let workloadsProblem: Problem | undefined;
  let conditions: readonly Condition[] = deps.previous ?? [];
  let isLookedAt = !isReady(conditions);
  let sources: readonly SourceFeedStatus[] = [];
  let manualReview: number | undefined;
  let countedAtMs = Number.NEGATIVE_INFINITY;
  const nowMs = () => deps.now().getTime();
  const monotonicMs = () => performance.now();
  let prunedAtMs = nowMs();
  const steps = makeSteps({ runtime, logger, nowMs, onChange: publish });
  const failover = makeFailover({
    probe: (processor, signal) => runtime.probeProcessor(processor, signal),
    nowMs,
    monotonicMs,
    // Workers have seen for themselves how old it is.
    onExpired: tell,
    onVerdict(name, before, after) {
      if (before.state !== after.state) tell(name, before, after);
      // Only while the settings of this plan are out: a verdict is advice, never the first thing that is written.
      if (steps.state("settings").state !== "done" || wanted.paused) return;
      writeSettings().catch((error: unknown) => logger.warn({ err: error }, "a verdict was not written"));
    },
  });
  const journal = makeDecisionJournal(logger);
  const scaling = makeScaling({
    runtime,
    logger,
    route,
    monotonicMs,
    downWindowMs: deps.scaleDownWindowMs,
    onDecision(role, decision, seen) {
      deps.onDecision?.(role, decision, seen);
      if (journal(role, decision)) publish();
    },
  });
  const writeSettings = makeLiveSettings({ runtime, plan: () => wanted, verdicts: () => failover.heard() });

  function publish(): void {
    if (isLookedAt) deps.onStatus(status());
  }

  function tell(processor: ProcessorName, { state: from }: Verdict, { state: to }: Verdict): void {
    logger[to === "Healthy" ? "info" : "warn"](
      { processor, from, to, route: route() },
      `processor ${processor} is ${to}`,
    );
    publish();
  }

  function route(): Route | undefined {
    const verdicts = failover.verdicts();
    return verdicts === undefined ? undefined : routeOf(verdicts);
  }

  /** Returns whether everything that was due is done. */
  async function pass(): Promise<boolean> {
    const current = wanted;
    let complete = true;
    if (!current.paused) {
      const results = await Promise.all([
        steps.ensureTopics(current),
        steps.ensureSchema(current),
        steps.attempt("settings", "live settings are in Redis and in the file", writeSettings),
      ]);
      complete = results.every(Boolean);
      // Never a new image or section before its tables and topics. The file of settings is enough for a new process: an absent Redis
      // does not keep it from starting again.
      if (complete || (workloadsApplied && steps.isPrepared(current))) {
        await runtime.applyWorkloads(current.workloads).catch((error: unknown) => {
          const message = error instanceof Error ? error.message : String(error);
          workloadsProblem = { message, reason: deniedReason(error) };
          throw error;
        });
        workloadsApplied = true;
        workloadsProblem = undefined;
      }
    }
    // Closed meanwhile, nobody would end them.
    if (workloadsApplied && !stopping.signal.aborted) {
      // Not before the processes: simulated processors are among them.
      failover.apply(current.failover);
      // Not before the topics: a group cannot be measured without them.
      scaling.apply(current);
    }
    if (current.workloads.some(({ role }) => role === "ingest-api")) {
      // What was last known stays while nobody can be asked.
      sources = await runtime.readSources().catch(() => sources);
    } else sources = [];
    await countForReview(current);
    isLookedAt = true;
    publish();
    await pruneTopics(current);
    return complete;
  }

  async function countForReview({ workloads }: Plan): Promise<void> {
    if (!workloadsApplied || workloads.every(({ role }) => role !== "payment-worker")) {
      manualReview = undefined;
      countedAtMs = Number.NEGATIVE_INFINITY;
    } else if (nowMs() - countedAtMs >= countEveryMs) {
      countedAtMs = nowMs();
      manualReview = await runtime.countForReview().catch(() => manualReview);
    }
  }

  /** Housekeeping: a failure harms nothing and is tried again in ten minutes. */
  async function pruneTopics(current: Plan): Promise<void> {
    if (!workloadsApplied || current.paused || nowMs() - prunedAtMs < pruneEveryMs) return;
    prunedAtMs = nowMs();
    try {
      await runtime.pruneTopics(current.topics);
    } catch (error) {
      logger.warn({ err: error }, "records were not deleted");
    }
  }

  function status(): EngineStatus {
    const { paused, notImplemented } = wanted;
    const replicas = runtime.replicas();
    const scaled = new Map(wanted.workloads.map(({ role }) => [role, scaling.find(role)]));
    const workers = wanted.workloads.map((workload) => workerStatus(workload, replicas, scaled.get(workload.role)));
    const partitions = steps.partitions();
    const verdicts = failover.verdicts();
    const probed = { processors: processorStatuses(verdicts), route: verdicts && routeOf(verdicts) };
    const facts = {
      topics: steps.state("topics"),
      schema: steps.state("schema"),
      partitions: steps.state("partitions"),
      settings: steps.state("settings"),
      workers,
      due: dueOf(scaled),
      scaling: scalingFacts(wanted, scaled),
      workloadsApplied,
      workloadsProblem,
      paused,
      notImplemented,
      refusal,
      databaseOf: steps.databaseOf(),
      expired: expiredNames(verdicts),
      ...probed,
    };
    conditions = deriveConditions(facts, conditions, deps.now().toISOString());
    return {
      observedGeneration: generation,
      conditions,
      workers,
      partitions,
      sources,
      ...(probed.processors === undefined ? {} : { processors: probed.processors }),
      ...(probed.route === undefined ? {} : { route: probed.route }),
      ...(manualReview === undefined ? {} : { manualReview }),
      notImplemented,
      summary: summarize({ workers, partitions }),
    };
  }

  async function run(): Promise<void> {
    const calmMs = deps.passEveryMs ?? 2000;
    let delayMs = firstRetryMs;
    while (!stopping.signal.aborted) {
      wake = new AbortController();
      let complete = false;
      try {
        const attributes = { engine: `${wanted.namespace}/${wanted.name}`, generation };
        complete = await withSpan("pass", { attributes }, pass);
      } catch (error) {
        logger.warn({ err: error }, "a pass failed");
        isLookedAt = true;
        publish();
      }
      delayMs = complete ? firstRetryMs : Math.min(isDenied() ? deniedRetryMs : calmMs, delayMs * 2);
      await sleep(complete ? calmMs : delayMs, AbortSignal.any([stopping.signal, wake.signal]));
    }
  }

  function isDenied(): boolean {
    const states = [steps.state("topics"), steps.state("schema"), steps.state("partitions"), steps.state("settings")];
    const failed = states.filter((step) => step.state === "failed");
    return [...failed, workloadsProblem].some((problem) => problem?.reason === "Forbidden");
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
    refuse(problem) {
      refusal = problem;
      isLookedAt ||= problem !== undefined;
      publish();
    },
    status,
    async close() {
      stopping.abort();
      await Promise.all([running, failover.close(), scaling.close()]);
    },
  };
}
