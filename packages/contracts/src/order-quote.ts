import { z } from "zod";
import { amount, quantity } from "./amount.ts";
import { itemError } from "./problem.ts";
import { decisionId, productId } from "./text.ts";

/** `POST /internal/quotes` of the pricing api, for orders: what lines of an order cost, and the stock that they begin with. */
export const quotesRequest = z.object({
  is_prime_member: z.boolean(),
  items: z.array(z.object({ product_id: productId, quantity, decision_id: decisionId.optional() })),
});
export type QuotesRequest = z.infer<typeof quotesRequest>;

const quote = z.object({
  product_id: z.string(),
  name: z.string(),
  unit_price: amount,
  currency: z.string(),
  decision_id: z.string(),
  /** Null: the product's stock is not counted. */
  initial_stock: z.int().nullable(),
});
export type OrderQuote = z.infer<typeof quote>;

/** In the order of the items. */
export const quotesResponse = z.object({
  results: z.array(z.union([quote, z.object({ product_id: z.string(), error: itemError })])),
});
export type QuotesResponse = z.infer<typeof quotesResponse>;
