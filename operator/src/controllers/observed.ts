/** What is seen of an engine, as its status says it. Pure. */
import type { ProcessorStatus, WorkerStatus } from "../api/status.ts";
import type { ScalingFacts } from "../core/conditions.ts";
import type { Plan, Role, Workload } from "../core/plan.ts";
import type { ReplicaOfRole } from "../runtime/runtime.ts";
import type { Verdicts } from "./failover.ts";
import type { RoleScaling } from "./scaling.ts";

export function processorStatuses(verdicts: Verdicts | undefined): readonly ProcessorStatus[] | undefined {
  if (verdicts === undefined) return undefined;
  return (["default", "fallback"] as const).map((name) => {
    const { state, minResponseTimeMs, sinceMs } = verdicts[name];
    return { name, state, latency: `${minResponseTimeMs}ms`, since: new Date(sinceMs).toISOString() };
  });
}

export function expiredNames(verdicts: Verdicts | undefined): readonly string[] {
  return Object.entries(verdicts ?? {}).flatMap(([name, { isExpired }]) => (isExpired ? [name] : []));
}

export function workerStatus(
  { role, replicas: planned }: Pick<Workload, "role" | "replicas">,
  replicas: readonly ReplicaOfRole[],
  scaling: RoleScaling | undefined,
): WorkerStatus {
  const processes = replicas.filter((replica) => replica.role === role);
  const trouble = processes.find((replica) => replica.state !== "ready" && replica.reason !== undefined)?.reason;
  const reason = scaling?.explained ?? trouble;
  const { lag, drainSeconds } = scaling?.decision ?? {};
  return {
    role,
    replicas: processes.length,
    ready: processes.filter((replica) => replica.state === "ready").length,
    desired: scaling?.decision.desired ?? planned,
    ...(lag === undefined ? {} : { lag }),
    ...(drainSeconds === undefined ? {} : { drainSeconds }),
    ...(reason === undefined ? {} : { reason }),
    processes,
  };
}

type Scaled = ReadonlyMap<Role, RoleScaling | undefined>;

/** How many of each role must be ready by now, where those are not all that are wanted. */
export function dueOf(scaled: Scaled): ReadonlyMap<string, number> {
  return new Map([...scaled].flatMap(([role, seen]) => (seen === undefined ? [] : [[role, seen.due]])));
}

export function scalingFacts(
  { scalingPaused, workloads }: Pick<Plan, "scalingPaused" | "workloads">,
  scaled: Scaled,
): ScalingFacts | undefined {
  if (workloads.every(({ scale }) => scale === undefined)) return undefined;
  const refusals = [...scaled].flatMap(([role, seen]) =>
    seen?.refusal === undefined ? [] : [`${role}: ${seen.refusal}`],
  );
  return { isPaused: scalingPaused, refusals };
}
