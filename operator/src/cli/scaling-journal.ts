import { appendFileSync } from "node:fs";
import type { ScaleInput } from "../controllers/scaling.ts";
import type { Role } from "../core/plan.ts";
import type { ScaleDecision } from "../core/scale.ts";

/** One look with its decision. `decide` makes the second of the first, so a file of these can be replayed. */
export interface ScalingJournalLine extends ScaleInput {
  /** RFC 3339. */
  readonly at: string;
  readonly role: Role;
  readonly decision: ScaleDecision;
}

/** Appends a JSON line for each decision. A full disk must not end an engine. */
export function makeScalingJournal(file: string) {
  return (role: Role, decision: ScaleDecision, { limits, look }: ScaleInput): void => {
    const line: ScalingJournalLine = { at: new Date().toISOString(), role, limits, look, decision };
    try {
      appendFileSync(file, `${JSON.stringify(line)}\n`);
    } catch {
      // The engine's conditions speak of the disk.
    }
  };
}
