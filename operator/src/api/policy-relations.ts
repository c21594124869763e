import type { Policy } from "@pricing-engine/contracts";
import { compare, decimal } from "@pricing-engine/money";
import type { z } from "zod";
import { refuseDuplicates } from "./fields.ts";

/** Contradictions that the shape alone shows; expressions are judged where they are compiled. */
export function refuseContradictions(policy: Policy, context: z.RefinementCtx): void {
  for (const stage of ["market", "customer"] as const) {
    refuseDuplicates(policy[stage], (rule) => rule.name, "name", {
      addIssue: (issue) => context.addIssue({ ...issue, path: [stage, ...issue.path] }),
    });
  }
  const { ceiling, floor, legalMinimum } = policy.corridor;
  for (const [field, lower] of Object.entries({ floor, legalMinimum })) {
    if (lower !== undefined && ceiling !== undefined && compare(decimal(lower), decimal(ceiling)) > 0) {
      context.addIssue({ code: "custom", path: ["corridor", field], message: "must not exceed ceiling" });
    }
  }
  const { rounding } = policy;
  if (rounding !== undefined && compare(decimal(rounding.increment), decimal("0")) <= 0) {
    context.addIssue({ code: "custom", path: ["rounding", "increment"], message: 'must be more than "0"' });
  } else if (rounding !== undefined && compare(decimal(rounding.ending), decimal(rounding.increment)) >= 0) {
    context.addIssue({ code: "custom", path: ["rounding", "ending"], message: "must be less than increment" });
  }
}
