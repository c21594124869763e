import {
  cancelOrderResponse,
  checkIdempotencyResponse,
  checkRateLimitResponse,
  idempotencyKey,
  inventoryInput,
  inventoryResponse,
  orderId,
  orderListQuery,
  orderListResponse,
  orderQuery,
  orderResponse,
  ordersRequest,
  placeOrderResponse,
  productId,
} from "@pricing-engine/contracts";
import { z } from "zod";
import type { Operation } from "./operation.ts";

const json = (schema: z.ZodType): NonNullable<Operation["body"]>["content"] => ({ "application/json": { schema } });
const ofOrder = z.object({ order_id: orderId });
const ofProduct = z.object({ product_id: productId });
const unknownOrder = "There is no such order (of this tenant)";

/** Orders and the stock that they take from. The first passes the gateway's limits; the orders service answers them all. */
export const orderOperations = {
  createOrder: {
    id: "createOrder",
    method: "POST",
    path: "/orders",
    tag: "Orders",
    summary: "Place an order, or look at the rate limit or an idempotency key",
    description:
      "`place_order` (the default): 202 once the order is safe; the rest happens by itself, and `GET /orders/{order_id}` shows it. " +
      "The key comes in the header `Idempotency-Key`, or in the body: a repeat with the header gets the first answer again " +
      "(`Idempotent-Replayed: true`), one with the body's field 409 with `existing_order_id`. Without an answer, or with 503, send the " +
      "same again. The two checks take no token. Ignores unknown fields.",
    role: "writer",
    limitsItself: true,
    headers: z.object({ "Idempotency-Key": idempotencyKey.optional() }),
    body: { required: true, content: json(ordersRequest) },
    answers: {
      200: { description: "Of the two checks", schema: z.union([checkRateLimitResponse, checkIdempotencyResponse]) },
      202: { description: "Placed", schema: placeOrderResponse },
    },
    problems: {
      409: "The key was used by the order `existing_order_id`",
      422: "An unknown product, mixed currencies, another price than ours, or the key with another body",
      429: "No token left in the tenant's bucket; `Retry-After` says when there is one",
      503: "Too many orders wait, or a part that is needed is not available: send the same again",
    },
  },
  getOrder: {
    id: "getOrder",
    method: "GET",
    path: "/orders/{order_id}",
    tag: "Orders",
    summary: "State, transitions and receipt of an order",
    description: "Readable as soon as the 202 is out.",
    role: "reader",
    parameters: ofOrder,
    query: orderQuery,
    answers: { 200: { description: "The order", schema: orderResponse } },
    problems: { 404: unknownOrder },
  },
  listOrders: {
    id: "listOrders",
    method: "GET",
    path: "/orders",
    tag: "Orders",
    summary: "Orders, newest first",
    role: "reader",
    query: orderListQuery,
    answers: { 200: { description: "One page", schema: orderListResponse } },
  },
  cancelOrder: {
    id: "cancelOrder",
    method: "POST",
    path: "/orders/{order_id}/cancel",
    tag: "Orders",
    summary: "Cancel an order that is not fulfilled yet",
    description: "202: it will be cancelled, and what was charged given back.",
    role: "writer",
    parameters: ofOrder,
    query: orderQuery,
    answers: { 202: { description: "It will be cancelled", schema: cancelOrderResponse } },
    problems: { 404: unknownOrder, 409: "It is too late" },
  },
  getInventory: {
    id: "getInventory",
    method: "GET",
    path: "/api/v1/inventory/{product_id}",
    tag: "Orders",
    summary: "Stock of a product",
    role: "reader",
    parameters: ofProduct,
    answers: { 200: { description: "On hand, and reserved by orders", schema: inventoryResponse } },
    problems: { 404: "There is no stock of that product" },
  },
  putInventory: {
    id: "putInventory",
    method: "PUT",
    path: "/api/v1/inventory/{product_id}",
    tag: "Orders",
    summary: "Adjust or set the stock of a product",
    description:
      "Without an answer, or with 503, it may have been done. With the header `Idempotency-Key` send the same again: what was done is not " +
      "done twice, and the answer is the stock as it is now. Without it read the stock first.",
    role: "writer",
    parameters: ofProduct,
    headers: z.object({
      "Idempotency-Key": idempotencyKey
        .optional()
        .meta({ description: "Names the change: the same one under it is made once." }),
    }),
    body: { required: true, content: json(inventoryInput) },
    answers: { 200: { description: "As it is now", schema: inventoryResponse } },
    problems: { 409: "The stock is not the expected one, or would be below zero" },
  },
} as const satisfies Record<string, Operation>;
