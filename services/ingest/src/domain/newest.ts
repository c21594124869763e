import type { CatalogEventData } from "@pricing-engine/contracts";

export type PlanEvent = Extract<CatalogEventData, { kind: "plan" }>;
export type RejectedEvent = Extract<CatalogEventData, { kind: "rejected" }>;

/**
 * What of a batch is to be stored: of each plan what the latest poll said of it, valid or not, in the order of ids, in which all
 * writers take their locks. A plan that any of the messages calls online was online.
 */
export function newestPerPlan(events: readonly CatalogEventData[]): {
  readonly plans: readonly PlanEvent[];
  readonly rejections: readonly RejectedEvent[];
  readonly everOnline: ReadonlySet<string>;
} {
  const plans = new Map<string, PlanEvent>();
  const rejections = new Map<string, RejectedEvent>();
  const everOnline = new Set<string>();
  for (const event of events) {
    if (event.kind === "plan") {
      if (event.plan.online) everOnline.add(event.id);
      if ((plans.get(event.id)?.sequence ?? 0) < event.sequence) plans.set(event.id, event);
    } else if ((rejections.get(event.id)?.sequence ?? 0) < event.sequence) rejections.set(event.id, event);
  }
  const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
  return { plans: [...plans.values()].sort(byId), rejections: [...rejections.values()].sort(byId), everOnline };
}
