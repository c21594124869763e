import { z } from "zod";
import { amount, currencyCode, quantity } from "./amount.ts";
import { itemError } from "./problem.ts";
import { decisionId, productId, segment, text } from "./text.ts";
import { time } from "./time.ts";

const userLocation = text({ min: 0, max: 255 }).meta({
  description: "Where the customer is, as customer rules name it.",
  example: "DE-BE",
});

const contextShape = {
  user_location: userLocation.optional(),
  is_prime_member: z.boolean().optional().meta({ description: "Default false.", example: false }),
  segment: segment.optional(),
  quantity: quantity.optional().meta({ description: "Units, 1 to 1,000,000. Default 1.", example: 1 }),
  currency: currencyCode.optional().meta({ description: "Default: the product's own currency.", example: "EUR" }),
};

/** All that a price depends on from the customer's side; absent fields mean guest, one unit, the product's currency. */
export const customerContext = z.strictObject(contextShape).meta({ id: "CustomerContext" });
export type CustomerContext = z.infer<typeof customerContext>;

/** Body of `POST /api/v1/price`; ignores unknown fields. */
export const priceRequest = z.object({ product_id: productId, ...contextShape }).meta({
  id: "PriceRequest",
  examples: [{ product_id: "concert-42-stalls", is_prime_member: true, quantity: 2 }],
});
export type PriceRequest = z.infer<typeof priceRequest>;

export const priceResponse = z
  .object({
    product_id: z.string().meta({ example: "concert-42-stalls" }),
    final_price: amount.meta({ description: "Price of one unit for this customer.", example: "18.91" }),
    base_price: amount.meta({ description: "The product's base price.", example: "19.90" }),
    discount_rate: z
      .number()
      .meta({ description: "max(0, 1 - final_price / base_price), 4 decimals.", example: 0.0497 }),
    source: z.enum(["cache", "database"]).meta({ example: "database" }),
    currency: z.string().meta({ example: "EUR" }),
    valid_until: time,
    decision_id: decisionId,
  })
  .meta({ id: "Price" });
export type PriceResponse = z.infer<typeof priceResponse>;

export const maxBatchItems = 500;

/** Body of `POST /api/v1/prices:batch`; rejects unknown fields, in its items too. */
export const priceBatchRequest = z
  .strictObject({ items: z.array(z.strictObject({ product_id: productId, ...contextShape })).max(maxBatchItems) })
  .meta({
    id: "PriceBatchRequest",
    examples: [{ items: [{ product_id: "concert-42-stalls" }, { product_id: "nope" }] }],
  });
export type PriceBatchRequest = z.infer<typeof priceBatchRequest>;

export const priceBatchResponse = z
  .object({ results: z.array(z.union([priceResponse, z.object({ product_id: z.string(), error: itemError })])) })
  .meta({ id: "PriceBatch" });
export type PriceBatchResponse = z.infer<typeof priceBatchResponse>;
