/** Conditions from facts. Pure: what happened goes in, what a person and `kubectl wait` should see comes out. */
import type {
  Condition,
  ConditionType,
  NotImplemented,
  ProcessorStatus,
  ReplicaStatus,
  Route,
  WorkerStatus,
} from "../api/status.ts";

/** How far one step of a pass is. */
export type StepState =
  | { readonly state: "waiting"; readonly reason: string; readonly message: string }
  | { readonly state: "done"; readonly message: string }
  | { readonly state: "failed"; readonly message: string; readonly reason?: string | undefined };

export interface ConditionFacts {
  readonly topics: StepState;
  readonly schema: StepState;
  readonly partitions: StepState;
  readonly settings: StepState;
  readonly workers: readonly WorkerStatus[];
  /** How many of a role must be ready by now; of others all that are wanted. */
  readonly due?: ReadonlyMap<string, number>;
  /** With roles that scale. */
  readonly scaling?: ScalingFacts | undefined;
  /** Whether the workloads of the current plan were handed to the runtime. */
  readonly workloadsApplied: boolean;
  /** Why they could not be handed over, when they could not. */
  readonly workloadsProblem?: Problem | undefined;
  readonly paused: boolean;
  readonly notImplemented: readonly NotImplemented[];
  /** The engine whose database this is, when it is not ours. */
  readonly databaseOf?: string | undefined;
  /** Why the newest resource was refused, when it was: the one before stays in force. */
  readonly refusal?: string | Problem | undefined;
  /** With the payment section. */
  readonly processors?: readonly ProcessorStatus[] | undefined;
  /** Names of those whose last verdict is too old to count. */
  readonly expired?: readonly string[] | undefined;
  readonly route?: Route | undefined;
}

export interface Problem {
  /** CamelCase; left out: the condition's own word for it. */
  readonly reason?: string | undefined;
  readonly message: string;
}

export interface ScalingFacts {
  readonly isPaused: boolean;
  /** `<role>: <why the runtime does not let it be scaled>` */
  readonly refusals: readonly string[];
}

type Draft = Omit<Condition, "lastTransitionTime">;

/** @param previous keeps the time of a condition whose status did not change */
export function deriveConditions(
  facts: ConditionFacts,
  previous: readonly Condition[],
  now: string,
): readonly Condition[] {
  const workloads = workloadsCondition(facts);
  const refusal = typeof facts.refusal === "string" ? { message: facts.refusal } : facts.refusal;
  const parts = [
    stepCondition("SchemaReady", facts.schema),
    stepCondition("TopicsReady", facts.topics),
    stepCondition("PartitionsReady", facts.partitions),
    stepCondition("SettingsApplied", facts.settings),
    workloads,
  ];
  const unready = parts.filter((part) => part.status !== "True");
  const looping = facts.workers
    .flatMap((worker) => worker.processes)
    .filter((replica) => replica.reason?.startsWith("crash loop") === true);
  const drafts: Draft[] = [
    unready.length === 0
      ? { type: "Ready", status: "True", reason: "AllReady", message: "everything that the resource asks for runs" }
      : { type: "Ready", status: "False", reason: unready[0]?.reason ?? "Unready", message: explain(unready) },
    unready.length === 0 || facts.paused
      ? flag("Reconciling", false, "Settled", "nothing is left to do")
      : flag("Reconciling", true, "InProgress", explain(unready)),
    stalledCondition(facts.databaseOf, refusal, looping),
    facts.paused
      ? flag("Paused", true, "Annotation", "pricing-engine.dev/paused: nothing is changed")
      : flag("Paused", false, "Running", "the resource is followed"),
    refusal === undefined
      ? flag("ResourceValid", true, "Accepted", "the newest resource is in force")
      : flag(
          "ResourceValid",
          false,
          refusal.reason ?? "Refused",
          `the last good one stays in force: ${refusal.message}`,
        ),
    facts.notImplemented.length === 0
      ? flag("NotImplemented", false, "Complete", "everything in the resource is run")
      : flag(
          "NotImplemented",
          true,
          "Accepted",
          facts.notImplemented.map(({ path, message }) => `${path}: ${message}`).join("; "),
        ),
    ...parts,
    // Not parts of Ready: what is there works, and payments are taken all the same, and wait.
    ...(facts.scaling === undefined ? [] : [scalingCondition(facts.scaling)]),
    ...(facts.processors === undefined ? [] : [processorsCondition(facts.processors, facts)]),
  ];
  return drafts.map((draft) => {
    const before = previous.find((condition) => condition.type === draft.type);
    return { ...draft, lastTransitionTime: before?.status === draft.status ? before.lastTransitionTime : now };
  });
}

export function isReady(conditions: readonly Condition[]): boolean {
  return conditions.some((condition) => condition.type === "Ready" && condition.status === "True");
}

function stalledCondition(
  databaseOf: string | undefined,
  refusal: Problem | undefined,
  looping: readonly ReplicaStatus[],
): Draft {
  if (databaseOf !== undefined) return flag("Stalled", true, "DatabaseOwned", `the database is ${databaseOf}'s`);
  if (refusal !== undefined) return flag("Stalled", true, refusal.reason ?? "InvalidResource", refusal.message);
  if (looping.length === 0) return flag("Stalled", false, "Progressing", "nothing stands in the way");
  const message = looping.map((replica) => `${replica.name}: ${replica.reason}`).join("; ");
  return flag("Stalled", true, "CrashLoop", message);
}

function flag(type: ConditionType, set: boolean, reason: string, message: string): Draft {
  return { type, status: set ? "True" : "False", reason, message };
}

function explain(parts: readonly Draft[]): string {
  // Steps that wait for the same thing say it once.
  return [...new Set(parts.map((part) => part.message))].join("; ");
}

function processorsCondition(
  processors: readonly ProcessorStatus[],
  { expired = [], route }: Pick<ConditionFacts, "expired" | "route">,
): Draft {
  const type = "ProcessorsHealthy";
  const describe = ({ name, state }: ProcessorStatus) =>
    `${name} is ${state}${expired.includes(name) ? " (nothing was heard for maxVerdictAge)" : ""}`;
  const message = `${processors.map(describe).join(", ")}; route: ${route}`;
  if (processors.some(({ state }) => state === "Down" || state === "Degraded")) {
    return { type, status: "False", reason: "ProcessorDown", message };
  }
  if (processors.some(({ state }) => state === "Unknown")) {
    return { type, status: "Unknown", reason: expired.length > 0 ? "VerdictExpired" : "NotProbed", message };
  }
  return { type, status: "True", reason: "AllHealthy", message };
}

function stepCondition(type: ConditionType, step: StepState): Draft {
  switch (step.state) {
    case "done":
      return { type, status: "True", reason: "Done", message: step.message };
    case "failed":
      return { type, status: "False", reason: step.reason ?? "Failed", message: step.message };
    case "waiting":
      return { type, status: "Unknown", reason: step.reason, message: step.message };
  }
}

function scalingCondition({ isPaused, refusals }: ScalingFacts): Draft {
  const type = "ScalingActive";
  if (isPaused) return flag(type, false, "Paused", "an annotation pauses it: numbers stay, and may be set by hand");
  if (refusals.length > 0) return flag(type, false, "Refused", refusals.join("; "));
  return flag(type, true, "Following", "workers follow what waits for them");
}

function workloadsCondition({ due, workers, workloadsApplied, workloadsProblem }: ConditionFacts): Draft {
  const type = "WorkloadsAvailable";
  if (workloadsProblem !== undefined) {
    const { message, reason = "ApplyFailed" } = workloadsProblem;
    return { type, status: "False", reason, message };
  }
  if (!workloadsApplied) return { type, status: "False", reason: "Waiting", message: "processes are not started yet" };
  const missing = workers.filter(({ desired, ready, role }) => ready < Math.min(desired, due?.get(role) ?? desired));
  if (missing.length === 0) return { type, status: "True", reason: "AllReady", message: "every process is ready" };
  return {
    type,
    status: "False",
    reason: "ProcessesNotReady",
    message: missing
      .map((worker) => {
        const why = worker.processes.find(({ reason }) => reason !== undefined)?.reason ?? worker.reason;
        return `${worker.role} ${worker.ready} of ${worker.desired} ready${why ? ` (${why})` : ""}`;
      })
      .join("; "),
  };
}
