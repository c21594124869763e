/** What of a change of the status is worth an Event. Pure. */
import type { Condition, EngineStatus } from "../api/status.ts";
import type { KubeEvent } from "../kube/events.ts";

/** Types of which only one side is news. */
const quiet = new Set(["Reconciling", "NotImplemented", "Paused", "ResourceValid"]);

export function eventsOf(
  before: Pick<EngineStatus, "conditions" | "processors"> | undefined,
  after: EngineStatus,
): readonly KubeEvent[] {
  const events: KubeEvent[] = [];
  for (const condition of after.conditions) {
    const former = before?.conditions.find(({ type }) => type === condition.type);
    if (former?.status === condition.status && former.reason === condition.reason) continue;
    const isLost = condition.type === "Ready" && former?.status === "True" && condition.status !== "True";
    if (isBad(condition) || isLost) events.push(eventOf(condition, "Warning"));
    // Steps on the way, and what was never otherwise, are the status' to say.
    else if (condition.status === "True" && former !== undefined && !quiet.has(condition.type)) {
      events.push(eventOf(condition, "Normal"));
    }
  }
  for (const processor of after.processors ?? []) {
    const former = before?.processors?.find(({ name }) => name === processor.name);
    if (former === undefined || former.state === processor.state) continue;
    events.push({
      type: processor.state === "Healthy" ? "Normal" : "Warning",
      reason: `Processor${processor.state}`,
      note: `processor ${processor.name}: ${former.state} → ${processor.state}; route: ${after.route ?? "unknown"}`,
      action: "Failover",
    });
  }
  return events;
}

function eventOf({ message, reason, status, type }: Condition, severity: KubeEvent["type"]): KubeEvent {
  const name = status === "True" ? type : `Not${type}`;
  return { type: severity, reason: name, note: message, action: reason };
}

function isBad({ reason, type, status }: Condition): boolean {
  // A person has to give the right, or the name. What is not Ready for it says so by itself.
  if ((reason === "Forbidden" || reason === "NameTaken") && status === "False" && type !== "Ready" && !quiet.has(type))
    return true;
  switch (type) {
    case "Stalled":
      return status === "True";
    case "ResourceValid":
    case "ProcessorsHealthy":
      return status === "False";
    default:
      return false;
  }
}
