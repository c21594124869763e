/** The pricing section: an api that answers, and a worker that makes prices. */
import type { PricingEngine } from "../api/resource.ts";
import type { PlannedWorkload } from "./plan.ts";
import { commonEnv, value } from "./plan-env.ts";
import { planScale } from "./plan-scale.ts";

export function planPricing(resource: PricingEngine): readonly PlannedWorkload[] {
  const { pricing } = resource.spec;
  if (pricing === undefined) return [];
  const env = commonEnv(resource);
  return [
    {
      role: "pricing-api",
      service: "pricing",
      argument: "api",
      replicas: 1,
      exposure: "internal",
      env: { ...env, ENGINE_ROLE: value("api") },
    },
    {
      role: "pricing-worker",
      service: "pricing",
      argument: "worker",
      replicas: pricing.workers.min,
      exposure: "none",
      scale: planScale(resource, "pricing-worker", pricing.workers),
      env: { ...env, ENGINE_ROLE: value("worker") },
    },
  ];
}
