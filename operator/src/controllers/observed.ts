/** What is seen of an engine, as its status says it. Pure. */
import type { ProcessorStatus, WorkerStatus } from "../api/status.ts";
import type { Workload } from "../core/plan.ts";
import type { ReplicaOfRole } from "../runtime/runtime.ts";
import type { Verdicts } from "./failover.ts";

export function processorStatuses(verdicts: Verdicts | undefined): readonly ProcessorStatus[] | undefined {
  if (verdicts === undefined) return undefined;
  return (["default", "fallback"] as const).map((name) => {
    const { state, minResponseTimeMs, sinceMs } = verdicts[name];
    return { name, state, latency: `${minResponseTimeMs}ms`, since: new Date(sinceMs).toISOString() };
  });
}

export function workerStatus(
  { role, replicas: desired }: Pick<Workload, "role" | "replicas">,
  replicas: readonly ReplicaOfRole[],
  lag: number | undefined,
): WorkerStatus {
  const processes = replicas.filter((replica) => replica.role === role);
  const reason = processes.find((replica) => replica.state !== "ready" && replica.reason !== undefined)?.reason;
  return {
    role,
    replicas: processes.length,
    ready: processes.filter((replica) => replica.state === "ready").length,
    desired,
    ...(lag === undefined ? {} : { lag }),
    ...(reason === undefined ? {} : { reason }),
    processes,
  };
}
