import { z } from "zod";
import { amountInput, stock } from "./amount.ts";
import { envelopeOf } from "./envelope.ts";
import { productId, taskId, text } from "./text.ts";
import { timeInput } from "./time.ts";

const marketEventCommon = {
  /** Absent when the sender wants no task of its own (stock running low). */
  taskId: taskId.optional(),
  eventId: text({ min: 1, max: 255 }).optional(),
  observedAt: timeInput,
};

/** Topic `market-events`, key = product id (recalculate-all: the task id). */
export const marketEventData = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("demand"), productId, demand: z.number().min(0).max(100), ...marketEventCommon }),
  z.object({
    kind: z.literal("competitor_price"),
    productId,
    price: amountInput,
    confidence: z.number().min(0).max(1).optional(),
    ...marketEventCommon,
  }),
  z.object({ kind: z.literal("stock"), productId, stock, ...marketEventCommon }),
  z.object({ kind: z.literal("cost"), productId, cost: amountInput, ...marketEventCommon }),
  z.object({ kind: z.literal("recalculate"), productId: productId.optional(), ...marketEventCommon }),
]);
export type MarketEventData = z.infer<typeof marketEventData>;
export const marketEventMessage = envelopeOf("market-event", marketEventData);
export type MarketEventMessage = z.infer<typeof marketEventMessage>;

/** Topic `recalculations`, key = task id and chunk: the products of one chunk of one task. */
export const recalculationData = z.object({
  taskId,
  chunk: z.int().min(0),
  productIds: z.array(productId).min(1).max(5000),
});
export type RecalculationData = z.infer<typeof recalculationData>;
export const recalculationMessage = envelopeOf("recalculation", recalculationData);
export type RecalculationMessage = z.infer<typeof recalculationMessage>;

/** Topic `price-changes` (compacted), key = product id. A product that is gone has no price. */
export const priceChangeData = z.object({
  productId,
  price: z.string().nullable(),
  currency: z.string(),
  sequence: z.int().min(0),
  policyVersion: z.int().min(0),
  decisionId: z.string(),
  decidedAt: timeInput,
  reason: z.string(),
});
export type PriceChangeData = z.infer<typeof priceChangeData>;
export const priceChangeMessage = envelopeOf("price-change", priceChangeData);
export type PriceChangeMessage = z.infer<typeof priceChangeMessage>;
