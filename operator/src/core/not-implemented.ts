import type { PricingEngine } from "../api/resource.ts";
import type { NotImplemented } from "../api/status.ts";
import type { PlanContext } from "./plan.ts";

/**
 * What the resource asks for and nobody runs yet. It is accepted, so that a resource stays valid from release to release,
 * and said aloud, so that nobody waits for it.
 */
export function findNotImplemented(
  resource: PricingEngine,
  { deletesData, samplesUrl }: Pick<PlanContext, "deletesData" | "samplesUrl">,
): readonly NotImplemented[] {
  const { spec } = resource;
  const found: NotImplemented[] = [];
  const say = (path: string, message: string) => found.push({ path, message });

  if (spec.postgres?.replica !== undefined && spec.ingest === undefined) {
    say("spec.postgres.replica", "nothing reads from the replica");
  }
  if (spec.ingest !== undefined && spec.ingest.sources === undefined && samplesUrl === undefined) {
    say("spec.ingest.sources", "no feed is read: the simulated provider runs in the local runtime alone");
  }
  if (spec.deletionPolicy === "Delete" && deletesData !== true) {
    say("spec.deletionPolicy", "topics and data stay when the engine goes");
  }
  return found;
}
