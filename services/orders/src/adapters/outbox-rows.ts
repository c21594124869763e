import { assertNever } from "@pricing-engine/chassis/errors";
import { currentTraceId, injectHeaders } from "@pricing-engine/chassis/telemetry";
import {
  engineTenant,
  marketEventMessage,
  type OrderCommandData,
  orderChangeMessage,
  orderCommandMessage,
  topicName,
  topics,
} from "@pricing-engine/contracts";
import { encodeEnvelope } from "@pricing-engine/kafka";
import type { OutboxRow } from "@pricing-engine/postgres";
import { uuidv7 } from "uuidv7";
import type { OrderState } from "../domain/saga.ts";
import type { Level } from "./inventory-store.ts";
import { type Order, traceIdOf } from "./order-rows.ts";

export const sink = "kafka";

type Action = OrderCommandData["action"];
type About = Pick<Order, "orderId" | "createdAt" | "tenantId" | "traceparent">;

function topicOf(action: Action): string {
  switch (action) {
    case "reserve":
      return topics.orderInventory;
    case "charge":
    case "cancel_charge":
    case "expire_charge":
    case "refund":
      return topics.orderPayment;
    case "fulfil":
      return topics.orderFulfillment;
    case "notify":
      return topics.orderNotification;
    default:
      return assertNever(action);
  }
}

/** What follows from an order belongs to its trace, whoever does it: events of the payment service and sweeps come without one. */
function headersOf({ traceparent }: About): Record<string, string> {
  return currentTraceId() === traceIdOf(traceparent) ? injectHeaders({}) : { traceparent };
}

export function commandRow(prefix: string, order: About, action: Action): OutboxRow {
  const { orderId, createdAt, tenantId } = order;
  return {
    aggregate: orderId,
    sink,
    topic: topicName(prefix, topicOf(action)),
    key: orderId,
    payload: encodeEnvelope(orderCommandMessage, {
      id: uuidv7(),
      type: "order-command",
      version: 1,
      occurredAt: new Date().toISOString(),
      tenantId,
      data: { action, orderId, createdAt },
    }).toString(),
    headers: headersOf(order),
  };
}

/** Where the order is now, for whoever outside wants it. */
export function changeRow(
  prefix: string,
  order: About,
  change: { status: OrderState["status"]; event: string; reason: string | null; version: number; at: string },
): OutboxRow {
  const { orderId, tenantId } = order;
  const { at, ...data } = change;
  return {
    aggregate: orderId,
    sink,
    topic: topicName(prefix, topics.orders),
    key: orderId,
    payload: encodeEnvelope(orderChangeMessage, {
      id: `${orderId}.${change.version}`,
      type: "order-change",
      version: 1,
      occurredAt: at,
      tenantId,
      data: { orderId, ...data },
    }).toString(),
    headers: headersOf(order),
  };
}

/** A scarce product's level, for its price. */
export function stockRow(prefix: string, { productId, stock }: Pick<Level, "productId" | "stock">): OutboxRow {
  const observedAt = new Date().toISOString();
  return {
    aggregate: `stock:${productId}`,
    sink,
    topic: topicName(prefix, topics.marketEvents),
    key: productId,
    payload: encodeEnvelope(marketEventMessage, {
      id: `orders.${uuidv7()}`,
      type: "market-event",
      version: 1,
      occurredAt: observedAt,
      tenantId: engineTenant,
      data: { kind: "stock", productId, stock, observedAt },
    }).toString(),
    headers: injectHeaders({}),
  };
}
