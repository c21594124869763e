/** Which workloads scale: between what numbers, and by the lag of which consumer group. */
import type { PricingEngine } from "../api/resource.ts";
import { prefixOf } from "./plan-env.ts";
import type { ScaleSettings } from "./scale.ts";
import { type GroupPlan, planGroup } from "./topics.ts";

export interface ScalePlan extends ScaleSettings {
  /** What arrives there and waits there decides how many are needed. */
  readonly group: GroupPlan;
  /** Read by the same processes, and little: no measure of their number, but while something waits there one must run. */
  readonly besides: readonly GroupPlan[];
  /** More of them would do nothing while payments are held. */
  readonly waitsForPayments: boolean;
}

interface Workers {
  readonly min: number;
  readonly max: number;
  readonly drainTarget: { readonly ms: number };
}

/** A role's consumer group has the role's name. */
export function planScale(
  resource: PricingEngine,
  role: string,
  { min, max, drainTarget }: Workers,
  more: { readonly besides?: readonly string[]; readonly waitsForPayments?: boolean } = {},
): ScalePlan {
  const prefix = prefixOf(resource);
  return {
    min,
    max,
    drainTargetMs: drainTarget.ms,
    partitions: resource.spec.kafka?.topics.partitions ?? 12,
    group: planGroup(role, prefix),
    besides: (more.besides ?? []).map((name) => planGroup(name, prefix)),
    waitsForPayments: more.waitsForPayments ?? false,
  };
}
