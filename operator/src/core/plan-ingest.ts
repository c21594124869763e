/** The ingest section: an api, a worker and a poller, and a simulated provider where no source is named. */
import type { PricingEngine } from "../api/resource.ts";
import type { PlanContext, PlannedWorkload } from "./plan.ts";
import { commonEnv, value } from "./plan-env.ts";
import { planScale } from "./plan-scale.ts";

export function planIngest(resource: PricingEngine, { samplesUrl }: PlanContext): readonly PlannedWorkload[] {
  const { ingest, pricing, postgres } = resource.spec;
  if (ingest === undefined) return [];
  const workload = (argument: "api" | "worker" | "poller", replicas: number, more: Partial<PlannedWorkload>) => ({
    role: `ingest-${argument}` as const,
    service: "ingest" as const,
    argument,
    replicas,
    exposure: "none" as const,
    ...more,
    env: { ...commonEnv(resource), ENGINE_ROLE: value(argument), ...more.env },
  });
  // A resource that names its own primary has the replica that it names, or none.
  const hasReplica = postgres === undefined || postgres.replica !== undefined;
  const isSimulated = ingest.sources === undefined && samplesUrl !== undefined;
  const provider: PlannedWorkload = {
    role: "provider",
    service: "provider",
    argument: "samples",
    replicas: 1,
    exposure: "internal",
    env: {},
  };
  return [
    ...(isSimulated ? [provider] : []),
    workload("api", 1, {
      exposure: "internal",
      ...(hasReplica ? { env: { POSTGRES_REPLICA_URL: { from: "replica" } } } : {}),
    }),
    workload("worker", ingest.workers.min, {
      scale: planScale(resource, "ingest-worker", ingest.workers),
      ...(pricing === undefined ? {} : { env: { PRICING_URL: { from: "workload", role: "pricing-api" } } }),
    }),
    workload("poller", 1, { env: { SOURCE_TOKENS_FILE: { from: "file", file: "source-tokens" } } }),
  ];
}
