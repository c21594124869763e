import type { Logger } from "@pricing-engine/chassis/log";
import type { Role } from "../core/plan.ts";
import type { ScaleDecision, ScaleReason } from "../core/scale.ts";

/** They come and go with every message, and change nothing. */
const everyday: readonly ScaleReason[] = ["Steady", "Measuring", "CoolingDown", "Rebalancing", "Starting"];

/** Says what changes a number, and why one does not change when that is not everyday. Returns whether number or reason are new. */
export function makeDecisionJournal(logger: Pick<Logger, "info" | "warn">) {
  const last = new Map<Role, ScaleDecision>();

  return function journal(role: Role, decision: ScaleDecision): boolean {
    const { before, desired, reason, message } = decision;
    const known = last.get(role);
    last.set(role, decision);
    if (known?.desired === desired && known.reason === reason) return false;
    const event = { role, before, desired, reason };
    if (before !== desired) logger.info(event, `${role} goes from ${before} to ${desired}: ${message}`);
    else if (!everyday.includes(reason)) logger.info(event, `${role} stays at ${desired}: ${message}`);
    return true;
  };
}
