import type { Role, Workload } from "../../core/plan.ts";

/**
 * How many processes of each workload there are to be: of one that scales what the scaler last said, whatever is applied later.
 * Fewer keeps the first ones: the newest go.
 */
export function makeReplicaCounts() {
  const scaled = new Map<Role, number>();
  let applied: readonly Workload[] = [];
  const of = ({ replicas, role, scale }: Workload): number =>
    scale === undefined ? replicas : (scaled.get(role) ?? replicas);
  return {
    apply(workloads: readonly Workload[]): void {
      applied = workloads;
      for (const workload of workloads) if (workload.scale !== undefined) scaled.set(workload.role, of(workload));
      for (const role of scaled.keys()) {
        if (!workloads.some((workload) => workload.role === role && workload.scale !== undefined)) scaled.delete(role);
      }
    },
    of,
    find(role: Role): number | undefined {
      const workload = applied.find((each) => each.role === role);
      return workload && of(workload);
    },
    /** Of a workload that is not there (any more) nothing is kept. */
    set(role: Role, replicas: number): void {
      if (scaled.has(role)) scaled.set(role, replicas);
    },
  };
}
