import { z } from "zod";
import { amountInput, stock } from "./amount.ts";
import { productId, taskId, text } from "./text.ts";
import { timeInput } from "./time.ts";

/** Kinds of facts that come from outside; each keeps only its latest value per product. */
export const signalKinds = ["demand", "competitor_price", "stock", "cost"] as const;
export const signalKind = z.enum(signalKinds);
export type SignalKind = z.infer<typeof signalKind>;

const common = {
  event_id: text({ min: 1, max: 255 })
    .optional()
    .meta({ description: "A repeat with the same id gets the same task.", example: "evt-2026-001" }),
  observed_at: timeInput.optional(),
};

const demand = z.number().min(0).max(100).meta({ description: "1 is normal.", example: 2.5 });
const confidence = z.number().min(0).max(1).meta({ description: "0 to 1.", example: 0.9 });

const marketEvent = z.discriminatedUnion(
  "type",
  [
    z.object({ type: z.literal("demand"), product_id: productId, demand, ...common }),
    z.object({
      type: z.literal("competitor_price"),
      product_id: productId,
      price: amountInput,
      confidence: confidence.optional(),
      ...common,
    }),
    z.object({ type: z.literal("stock"), product_id: productId, stock, ...common }),
    z.object({ type: z.literal("cost"), product_id: productId, cost: amountInput, ...common }),
    z.object({ type: z.literal("recalculate"), product_id: productId.optional(), ...common }),
  ],
  { error: "must be one of demand, competitor_price, stock, cost, recalculate" },
);

const knownFields = ["type", "product_id", "demand", "price", "confidence", "stock", "cost", "event_id", "observed_at"];

/** No body, or none of the fields that we know (the others are ignored): recalculate everything. */
function emptyMeansRecalculate(body: unknown): unknown {
  if (body === undefined) return { type: "recalculate" };
  if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
  return knownFields.some((field) => Object.hasOwn(body, field)) ? body : { type: "recalculate" };
}

/** Body of `POST /api/v1/publish-market-event`; ignores unknown fields. Give it `undefined` for an empty body. */
export const marketEventRequest = z.preprocess(emptyMeansRecalculate, marketEvent).meta({
  id: "MarketEvent",
  description: "An empty body or `{}` recalculates all prices.",
  examples: [{ type: "demand", product_id: "concert-42-stalls", demand: 2.5 }],
});
export type MarketEventRequest = z.infer<typeof marketEvent>;

export const marketEventResponse = z
  .object({
    status: z.literal("Event published"),
    channel: z.string().meta({ description: "The topic it went to.", example: "default.shop.market-events" }),
    task_id: taskId,
  })
  .meta({ id: "MarketEventAccepted" });
export type MarketEventResponse = z.infer<typeof marketEventResponse>;
