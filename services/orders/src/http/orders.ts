import { AppError, assertNever, type FieldError } from "@pricing-engine/chassis/errors";
import {
  addLogFields,
  type HttpApp,
  type HttpContext,
  parseBody,
  parseParams,
  parseQuery,
} from "@pricing-engine/chassis/http";
import {
  type CheckIdempotencyResponse,
  idempotencyKey,
  type OrderListResponse,
  type OrderResponse,
  orderId,
  orderListQuery,
  orderQuery,
  ordersRequest,
  type PlaceOrderRequest,
  placedOrder,
  tokensHeader,
} from "@pricing-engine/contracts";
import { z } from "zod";
import type { Position } from "../adapters/order-reader.ts";
import { type CancelOrder, unknownOrder } from "../usecases/cancel-order.ts";
import type { PlaceOrder } from "../usecases/place-order.ts";
import { tenantOfOrder, tenantOfReader } from "./caller.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { hideOpenCharge } from "./hide-open-charge.ts";

export interface OrderRoutes {
  readonly placeOrder: PlaceOrder;
  readonly cancelOrder: CancelOrder;
  findKey(tenantId: string, key: string): Promise<CheckIdempotencyResponse>;
  readOrder(orderId: string, tenantId: string | undefined): Promise<OrderResponse | undefined>;
  listOrders(
    filter: {
      status?: OrderResponse["status"] | undefined;
      from?: string | undefined;
      to?: string | undefined;
      tenantId: string | undefined;
      after: Position | undefined;
    },
    limit: number,
  ): Promise<{ orders: OrderListResponse["orders"]; next: Position | undefined }>;
}

const params = z.object({ order_id: orderId });
const defaultLimit = 100;

/** `POST /orders`, `GET /orders`, `GET /orders/{order_id}`, `POST /orders/{order_id}/cancel` */
export function mountOrders(app: HttpApp, routes: OrderRoutes): void {
  app.post("/orders", async (c) => {
    const request = await parseBody(c, ordersRequest);
    switch (request.action) {
      case "check_rate_limit":
        throw new AppError("not_found", { detail: "the gateway keeps the buckets" });
      case "check_idempotency":
        return c.json(await routes.findKey(tenantOfOrder(c, request.tenant_id), keyOf(c, request.idempotency_key).key));
      case "place_order":
      case undefined:
        return place(c, request, routes);
      default:
        return assertNever(request);
    }
  });
  app.get("/orders", async (c) => {
    const { cursor, limit = defaultLimit, tenant_id, ...filter } = parseQuery(c, orderListQuery);
    const after = cursor === undefined ? undefined : decodeCursor(cursor);
    const tenantId = tenantOfReader(c, tenant_id);
    const { orders, next } = await routes.listOrders({ ...filter, tenantId, after }, limit);
    return c.json({ orders, next_cursor: next === undefined ? null : encodeCursor(next) });
  });
  app.get("/orders/:order_id", async (c) => {
    const { order_id } = parseParams(c, params);
    const order = await routes.readOrder(order_id, tenantOfReader(c, parseQuery(c, orderQuery).tenant_id));
    if (order === undefined) throw unknownOrder(order_id);
    return c.json(hideOpenCharge(order));
  });
  app.post("/orders/:order_id/cancel", async (c) => {
    const { order_id } = parseParams(c, params);
    const status = await routes.cancelOrder(order_id, tenantOfReader(c, parseQuery(c, orderQuery).tenant_id));
    return c.json({ order_id, status }, 202);
  });
}

async function place(c: HttpContext, request: PlaceOrderRequest, { placeOrder }: OrderRoutes): Promise<Response> {
  const { key, fromHeader } = keyOf(c, request.idempotency_key);
  const result = await placeOrder(tenantOfOrder(c, request.tenant_id), key, request, tokensOf(c));
  if (result.kind === "other_body") {
    throw new AppError("idempotency_mismatch", { detail: "the key was used with another body" });
  }
  const { answer, kind } = result;
  addLogFields(c, { orderId: answer.order_id, repeated: kind === "repeated" });
  if (kind === "placed") return c.json(answer, 202);
  if (fromHeader) return c.json(answer, 202, { "idempotent-replayed": "true" });
  throw new AppError("order_exists", {
    detail: `the key has placed the order ${answer.order_id}`,
    extensions: { existing_order_id: answer.order_id },
  });
}

/** What the gateway says is left; undefined for a call from inside. */
function tokensOf(c: HttpContext): number | undefined {
  const header = c.req.header(tokensHeader);
  return header === undefined ? undefined : placedOrder.shape.tokens_remaining.safeParse(Number(header)).data;
}

/** The header wins over the field. @throws AppError validation_failed */
function keyOf(c: HttpContext, field: string | undefined): { key: string; fromHeader: boolean } {
  const header = c.req.header("idempotency-key");
  const parsed = idempotencyKey.safeParse(header ?? field);
  if (parsed.success) return { key: parsed.data, fromHeader: header !== undefined };
  const message =
    header === undefined ? "is needed, here or as Idempotency-Key" : "the header Idempotency-Key is not a key";
  const fieldErrors: FieldError[] = [{ pointer: "/idempotency_key", code: "invalid_key", message }];
  throw new AppError("validation_failed", { detail: `/idempotency_key: ${message}`, fieldErrors });
}
