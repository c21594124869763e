import { z } from "zod";
import { amount } from "./amount.ts";
import { beginsBeforeItEnds, time, timeInput, windowProblem } from "./time.ts";

/** Query of `GET /api/v1/prices/{product_id}/history`, both ends inclusive. */
export const historyQuery = z
  .strictObject({ from: timeInput.optional(), to: timeInput.optional() })
  .refine(beginsBeforeItEnds, windowProblem)
  .meta({ id: "HistoryQuery" });
export type HistoryQuery = z.infer<typeof historyQuery>;

export const historyResponse = z
  .object({
    product_id: z.string().meta({ example: "concert-42-stalls" }),
    entries: z.array(
      z.object({
        price: amount,
        currency: z.string().meta({ example: "EUR" }),
        decided_at: time,
        decision_id: z.string(),
        reason: z.string().meta({ example: "Demand is high" }),
      }),
    ),
    lowest_30d: amount.nullable().meta({
      description: "Lowest market price in the window; the price in force when it opened counts.",
      example: "19.90",
    }),
  })
  .meta({ id: "PriceHistory" });
export type HistoryResponse = z.infer<typeof historyResponse>;
