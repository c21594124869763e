import { z } from "zod";
import { amount, quantity, stock } from "./amount.ts";
import { maxBatchItems } from "./price.ts";
import { decisionId, productId, text } from "./text.ts";
import { beginsBeforeItEnds, time, timeInput, windowProblem } from "./time.ts";

const id = text({ min: 1, max: 255 });

export const tenantName = id.meta({
  description: "With `auth: none` whose order it is, default `default`; with API keys the key decides.",
  example: "default",
});
export const idempotencyKey = id.meta({
  description: "Names the request: a repeat places nothing. The `Idempotency-Key` header wins over it.",
  example: "order-2026-01-31-0001",
});
export const orderId = id.meta({
  description: "Sortable by the time it was placed.",
  example: "ord_01930a2b-7c4d-7e8f-9a0b-1c2d3e4f5a6b",
});

const maxPrice = 9_999_999_999;
const priceProblem = `must be a number of at least 0 with at most 2 decimals, at most ${maxPrice}`;

/** What the client believes to pay for one unit. */
const clientPrice = z
  .number({ error: priceProblem })
  .refine((value) => value >= 0 && value <= maxPrice && Math.round(value * 100) / 100 === value, {
    error: priceProblem,
  })
  .meta({ description: "Price of one unit as the client knows it; another one than ours is a 422.", example: 10 });

const orderLine = z
  .object({
    product_id: productId,
    quantity,
    price: clientPrice.optional(),
    decision_id: decisionId.optional(),
  })
  .meta({ id: "OrderLine" });

export const maxOrderLines = maxBatchItems;

/** `POST /orders`; ignores unknown fields. `action` may be left out. The key may come as a header instead. */
export const placeOrderRequest = z
  .object({
    action: z.literal("place_order").optional(),
    customer_id: id.meta({ example: "customer-7" }),
    items: z.array(orderLine).min(1).max(maxOrderLines),
    is_prime_member: z.boolean().optional().meta({ description: "Default false.", example: false }),
    tenant_id: tenantName.optional(),
    idempotency_key: idempotencyKey.optional(),
  })
  .meta({
    id: "PlaceOrder",
    examples: [
      { customer_id: "customer-7", items: [{ product_id: "PROD-001", quantity: 2 }], idempotency_key: "order-0001" },
    ],
  });
export type PlaceOrderRequest = z.infer<typeof placeOrderRequest>;

export const checkRateLimitRequest = z
  .object({ action: z.literal("check_rate_limit"), tenant_id: tenantName.optional() })
  .meta({ id: "CheckRateLimit" });

export const checkIdempotencyRequest = z
  .object({
    action: z.literal("check_idempotency"),
    idempotency_key: idempotencyKey.optional(),
    tenant_id: tenantName.optional(),
  })
  .meta({ id: "CheckIdempotency" });

/** Body of `POST /orders`, by its `action`; without one an order is placed. */
export const ordersRequest = z
  .discriminatedUnion("action", [placeOrderRequest, checkRateLimitRequest, checkIdempotencyRequest])
  .meta({ id: "OrdersRequest" });
export type OrdersRequest = z.infer<typeof ordersRequest>;

export const orderStatuses = [
  "placed",
  "reserved",
  "paid",
  "fulfilled",
  "notified",
  "rejected",
  "payment_failed",
  "cancelling",
  "cancelled",
] as const;
export const orderStatus = z.enum(orderStatuses).meta({ example: "notified" });

/** Header by which the gateway tells the orders api what is left of the tenant's bucket: it belongs to the answer that a repeat gets. */
export const tokensHeader = "x-tokens-remaining";

const tokens = z.number().min(0);

/** What the orders api answers to a placed order. */
export const placedOrder = z.object({
  order_id: orderId,
  status: z.literal("placed"),
  total: amount.meta({ example: "20.00" }),
  idempotency_key: idempotencyKey,
  tokens_remaining: tokens.optional(),
});
export type PlacedOrder = z.infer<typeof placedOrder>;

/** … and what the gateway makes of it. */
export const placeOrderResponse = placedOrder
  .extend({ tokens_remaining: tokens.meta({ description: "Of the tenant's bucket.", example: 99 }) })
  .meta({ id: "PlacedOrder" });
export type PlaceOrderResponse = z.infer<typeof placeOrderResponse>;

export const checkRateLimitResponse = z
  .object({
    tenant_id: z.string().meta({ example: "default" }),
    tokens_remaining: tokens.meta({ example: 99 }),
    capacity: z.number().meta({ example: 100 }),
    refill_per_second: z.number().meta({ example: 10 }),
  })
  .meta({ id: "RateLimitState" });
export type CheckRateLimitResponse = z.infer<typeof checkRateLimitResponse>;

export const checkIdempotencyResponse = z
  .object({
    exists: z.boolean(),
    order_id: orderId.optional(),
    status: orderStatus.optional().meta({ description: "Of the order, now." }),
    expires_at: time.optional().meta({ description: "When the key is forgotten." }),
  })
  .meta({ id: "IdempotencyState" });
export type CheckIdempotencyResponse = z.infer<typeof checkIdempotencyResponse>;

const orderItem = z.object({
  product_id: z.string(),
  quantity: z.int(),
  unit_price: amount.meta({ example: "10.00" }),
  line_total: amount.meta({ example: "20.00" }),
  decision_id: z.string().nullable().meta({ description: "Of the price that it pays." }),
});

const orderTransition = z.object({
  from: orderStatus.nullable().meta({ example: "placed" }),
  to: orderStatus.meta({ example: "reserved" }),
  event: z.string().meta({ description: "What moved it.", example: "stock_reserved" }),
  reason: z.string().nullable().meta({ example: null }),
  at: time,
  trace_id: z.string().nullable().meta({ example: "4bf92f3577b34da6a3ce929d0e0e4736" }),
});

const orderHead = {
  order_id: orderId,
  tenant_id: z.string(),
  customer_id: z.string(),
  status: orderStatus,
  total: amount.meta({ example: "20.00" }),
  currency: z.string().meta({ example: "EUR" }),
  refund: z.enum(["none", "pending", "done", "manual"]),
  notification: z.enum(["pending", "sent", "failed"]),
  reason: z.string().nullable().meta({ description: "Why it was rejected, failed or cancelled." }),
  receipt_url: z.string().nullable().meta({ description: "The readable receipt, once the order is fulfilled." }),
  created_at: time,
  updated_at: time,
};

export const orderSummary = z.object(orderHead).meta({ id: "OrderSummary" });
export type OrderSummary = z.infer<typeof orderSummary>;

export const orderResponse = z
  .object({
    ...orderHead,
    idempotency_key: z.string(),
    items: z.array(orderItem),
    payment_id: z.string().nullable().meta({ description: "correlationId of its charge, once that has ended." }),
    receipt_json_url: z.string().nullable(),
    transitions: z.array(orderTransition).meta({ description: "Oldest first." }),
  })
  .meta({ id: "Order" });
export type OrderResponse = z.infer<typeof orderResponse>;

export const orderListQuery = z
  .object({
    status: orderStatus.optional(),
    from: timeInput.optional().meta({ description: "Placed then or later." }),
    to: timeInput.optional().meta({ description: "Placed then or earlier." }),
    tenant_id: tenantName.optional(),
    cursor: text({ min: 1, max: 1024 }).optional().meta({ description: "`next_cursor` of the page before." }),
    limit: z
      .string()
      .regex(/^(?:[1-9]\d?|[1-4]\d\d|500)$/, { error: "must be an integer from 1 to 500" })
      .transform(Number)
      .optional()
      .meta({ description: "1 to 500. Default 100.", example: "100" }),
  })
  .refine(beginsBeforeItEnds, windowProblem)
  .meta({ id: "OrderListQuery" });
export type OrderListQuery = z.infer<typeof orderListQuery>;

/** Newest first. */
export const orderListResponse = z
  .object({
    orders: z.array(orderSummary),
    next_cursor: z.string().nullable().meta({ description: "Null on the last page.", example: null }),
  })
  .meta({ id: "OrderList" });
export type OrderListResponse = z.infer<typeof orderListResponse>;

/** Query of `GET /orders/{order_id}` and of its cancel. */
export const orderQuery = z.object({ tenant_id: tenantName.optional() });

export const cancelOrderResponse = z
  .object({
    order_id: orderId,
    status: z.enum(["cancelling", "cancelled"]).meta({ description: "It is cancelled, or will be." }),
  })
  .meta({ id: "CancelledOrder" });
export type CancelOrderResponse = z.infer<typeof cancelOrderResponse>;

const maxStock = 2_147_483_647;

/** Body of `PUT /api/v1/inventory/{product_id}`: a change, or a level that is set if it is still `expected`. */
export const inventoryInput = z
  .union([
    z.strictObject({
      delta: z
        .int()
        .min(-maxStock)
        .max(maxStock)
        .meta({ description: "Added to the stock; negative takes away.", example: 5 }),
    }),
    z.strictObject({ stock, expected: stock.meta({ description: "The stock as the client knows it." }) }),
  ])
  .meta({ id: "InventoryInput", examples: [{ delta: 5 }, { stock: 20, expected: 12 }] });
export type InventoryInput = z.infer<typeof inventoryInput>;

export const inventoryResponse = z
  .object({
    stock: z.int().meta({ description: "Units that can still be sold.", example: 12 }),
    reserved: z.int().meta({ description: "Units that orders on their way hold.", example: 2 }),
  })
  .meta({ id: "Inventory" });
export type InventoryResponse = z.infer<typeof inventoryResponse>;

/** `GET /internal/load` of the orders api, for the gateway's back-pressure. */
export const ordersLoad = z.object({ unsentOutbox: z.int().min(0), unfinishedCharges: z.int().min(0) });
export type OrdersLoad = z.infer<typeof ordersLoad>;
