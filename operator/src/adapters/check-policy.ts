import type { Policy } from "@pricing-engine/contracts";
import { z } from "zod";

const problemSchema = z.object({
  code: z.string(),
  detail: z.string().optional(),
  errors: z.array(z.object({ pointer: z.string(), message: z.string() })).optional(),
});

/** `unknown`: nobody could be asked. The pricing processes refuse a bad policy by themselves; asking first tells the person. */
export type PolicyVerdict =
  | { readonly kind: "accepted" }
  | { readonly kind: "refused"; readonly problems: readonly string[] }
  | { readonly kind: "unknown"; readonly reason: string };

/** A simulation over no product that exists: it compiles the policy, where the expressions are known, and changes nothing. */
export async function checkPolicy(pricingUrl: string, policy: Policy): Promise<PolicyVerdict> {
  try {
    const response = await fetch(`${pricingUrl}/api/v1/simulations`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ policy, product_ids: ["policy-check"] }),
      signal: AbortSignal.timeout(5000),
    });
    if (response.ok) return { kind: "accepted" };
    const problem = problemSchema.safeParse(await response.json());
    if (response.status !== 400 || !problem.success) {
      return { kind: "unknown", reason: `pricing answered ${response.status}` };
    }
    const { detail, errors = [] } = problem.data;
    const problems = errors.map(({ message, pointer }) => `spec.pricing${pointer.replaceAll("/", ".")}: ${message}`);
    return { kind: "refused", problems: problems.length > 0 ? problems : [detail ?? problem.data.code] };
  } catch (error) {
    return { kind: "unknown", reason: error instanceof Error ? error.message : String(error) };
  }
}
