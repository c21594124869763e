import type { PricingEngine } from "../api/resource.ts";
import type { NotImplemented } from "../api/status.ts";
import { orderStages } from "./order-stages.ts";
import type { PlanContext } from "./plan.ts";

/**
 * What the resource asks for and nobody runs yet. It is accepted, so that a resource stays valid from release to release,
 * and said aloud, so that nobody waits for it.
 */
export function findNotImplemented(
  resource: PricingEngine,
  { samplesUrl }: Pick<PlanContext, "samplesUrl">,
): readonly NotImplemented[] {
  const { spec } = resource;
  const found: NotImplemented[] = [];
  const say = (path: string, message: string) => found.push({ path, message });

  if (spec.kafka?.tls === true) say("spec.kafka.tls", "processes connect to Kafka without TLS");
  if (spec.kafka?.sasl !== undefined) say("spec.kafka.sasl", "processes connect to Kafka without SASL");
  if (spec.postgres?.replica !== undefined && spec.ingest === undefined) {
    say("spec.postgres.replica", "nothing reads from the replica");
  }
  if (spec.ingest !== undefined && spec.ingest.sources === undefined && samplesUrl === undefined) {
    say("spec.ingest.sources", "no feed is read: the simulated provider runs in the local runtime alone");
  }
  for (const section of ["pricing", "payment", "ingest"] as const) {
    const workers = spec[section]?.workers;
    if (workers === undefined) continue;
    const path = `spec.${section}.workers`;
    if (workers.min === 0) say(`${path}.min`, "workers do not scale to zero; one keeps running");
    if (workers.max > Math.max(1, workers.min))
      say(`${path}.max`, `workers do not scale by lag; ${path}.min of them run`);
  }
  const stages = orderStages.flatMap((stage) => spec.orders?.stages[stage].workers ?? []);
  if (stages.some(({ max, min }) => min === 0 || max > min)) {
    say("spec.orders.stages", "stages do not scale by lag; `min` workers of each run, at least one");
  }
  if (spec.deletionPolicy === "Delete") say("spec.deletionPolicy", "topics and data stay when the engine goes");
  return found;
}
