import { z } from "zod";
import { text } from "./text.ts";

/** Longest CEL expression that a policy may hold; depth and cost are bounded where it is compiled. */
export const maxExpressionLength = 2000;

const expression = text({ min: 1, max: maxExpressionLength });
const decimal = z
  .string()
  .regex(/^(?:0|[1-9]\d{0,11})(?:\.\d{1,9})?$/, { error: "must be a decimal string of at least 0" });

/** What a rule does to the price: exactly one of these, each a CEL expression that gives a number. */
export const policyAdjust = z
  .strictObject({
    multiply: expression.optional().describe("Factor for the price so far."),
    add: expression.optional().describe("Added to the price so far; may be negative."),
    set: expression.optional().describe("Takes the place of the price so far."),
  })
  .refine((adjust) => Object.values(adjust).filter((value) => value !== undefined).length === 1, {
    error: "must hold exactly one of multiply, add, set",
  });
export type PolicyAdjust = z.infer<typeof policyAdjust>;

export const policyRule = z.strictObject({
  name: text({ min: 1, max: 63 }).describe("Unique in its stage; explanations and errors name it."),
  priority: z.int().min(-1_000_000).max(1_000_000).default(0).describe("Lower runs first; ties by name."),
  when: expression.optional().describe("CEL condition; without it the rule always applies."),
  adjust: policyAdjust.describe("What the rule does: exactly one of multiply, add and set."),
  reason: text({ min: 0, max: 255 }).default("").describe("Shown to whoever asks for an explanation."),
  mode: z
    .enum(["auto", "shadow"])
    .default("auto")
    .describe("A shadow rule is computed and recorded, and changes nothing."),
});
export type PolicyRule = z.infer<typeof policyRule>;

export const policyCorridor = z.strictObject({
  minMargin: decimal.optional().describe("Share of the cost on top of it that is the least."),
  floor: decimal.optional().describe("Lowest price, in the product's currency."),
  ceiling: decimal.optional().describe("Highest price; floors win over it."),
  legalMinimum: decimal.optional().describe("Lowest price that the law allows."),
  maxStep: decimal.optional().describe("Largest change against the last published price, as a share of it."),
  maxDailyDrift: decimal.optional().describe("Largest change against the price 24 h ago, as a share of it."),
});
export type PolicyCorridor = z.infer<typeof policyCorridor>;

export const policyRounding = z.strictObject({
  increment: decimal.describe("Allowed prices are k × increment + ending."),
  ending: decimal.default("0").describe("Less than the increment: 0.09 makes 19.99, 20.09 …"),
});
export type PolicyRounding = z.infer<typeof policyRounding>;

/** The shape of a policy; whether it compiles and makes sense is decided where it is compiled. */
export const policySchema = z.strictObject({
  market: z.array(policyRule).max(200).default([]).describe("What the product costs now, for everybody."),
  customer: z.array(policyRule).max(200).default([]).describe("What this customer pays for one unit."),
  corridor: policyCorridor.default({}).describe("Bounds that hold whatever the rules say."),
  rounding: policyRounding.optional().describe("Which prices are allowed; without it every minor unit is."),
});
export type Policy = z.infer<typeof policySchema>;

/** Without a policy a price is the base price, never below cost. */
export const emptyPolicy: Policy = { market: [], customer: [], corridor: {} };
