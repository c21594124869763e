import { z } from "zod";
import { amount, currencyCode, quantity } from "./amount.ts";
import { decisionId, segment, text } from "./text.ts";
import { time } from "./time.ts";

const queryBoolean = z
  .enum(["true", "false"], { error: "must be true or false" })
  .transform((value) => value === "true")
  .meta({ example: "true" });

const queryQuantity = z
  .string()
  .regex(/^[1-9]\d{0,6}$/, { error: "must be an integer from 1 to 1000000" })
  .transform(Number)
  .pipe(quantity)
  .meta({ description: "Units, 1 to 1,000,000.", example: "1" });

/** Query of `GET /api/v1/prices/{product_id}/explain`: a customer's context, or the decision that was made for one. */
export const explainQuery = z
  .strictObject({
    user_location: text({ min: 0, max: 255 }).optional(),
    is_prime_member: queryBoolean.optional(),
    segment: segment.optional(),
    quantity: queryQuantity.optional(),
    currency: currencyCode.optional(),
    decision_id: decisionId.optional(),
  })
  .superRefine((query, context) => {
    if (query.decision_id === undefined) return;
    for (const field of ["user_location", "is_prime_member", "segment", "quantity", "currency"] as const) {
      if (query[field] === undefined) continue;
      context.addIssue({ code: "custom", path: [field], message: "must be left out when decision_id is given" });
    }
  })
  .meta({ id: "ExplainQuery" });
export type ExplainQuery = z.infer<typeof explainQuery>;

const stage = z.enum(["market", "customer"]).meta({ example: "market" });

export const explainStep = z
  .object({
    stage,
    rule: z.string().meta({ description: "Name of the rule, or of the built-in step.", example: "demand" }),
    reason: z.string().meta({ example: "Demand is high" }),
    before: amount,
    after: amount.meta({ example: "21.90" }),
  })
  .meta({ id: "PriceStep" });

export const explainResponse = z
  .object({
    product_id: z.string().meta({ example: "concert-42-stalls" }),
    final_price: amount,
    currency: z.string().meta({ example: "EUR" }),
    decision_id: decisionId,
    policy_version: z.int().meta({ example: 3 }),
    binding_rule: z.string().nullable().meta({
      description: "The step that fixed the price in the end; null when the base price stands.",
      example: "demand",
    }),
    steps: z
      .array(explainStep)
      .meta({ description: "From the base price to the final one: each `before` is the last `after`." }),
    shadow: z
      .array(explainStep)
      .meta({ description: "What rules in shadow mode would have done. They change nothing.", example: [] }),
    skipped: z
      .array(z.object({ stage, rule: z.string(), reason: z.string() }))
      .meta({ description: "Rules that did not apply because a signal that they name is absent.", example: [] }),
    decided_at: time,
  })
  .meta({ id: "PriceExplanation" });
export type ExplainResponse = z.infer<typeof explainResponse>;
