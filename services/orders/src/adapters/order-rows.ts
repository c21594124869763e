import { AppError } from "@pricing-engine/chassis/errors";
import { findTraceId } from "@pricing-engine/chassis/telemetry";
import type { OrderState } from "../domain/saga.ts";

/** Where an order lies. */
export interface OrderRef {
  readonly orderId: string;
  /** Finds its month. */
  readonly createdAt: string;
}

export interface Order extends OrderRef {
  readonly tenantId: string;
  readonly customerId: string;
  readonly currency: string;
  readonly totalMinor: number;
  readonly paymentId: string;
  readonly state: OrderState;
  readonly version: number;
  /** RFC 3339. */
  readonly chargeDeadline: string | null;
  readonly traceparent: string;
  readonly updatedAt: string;
}

export interface OrderRow {
  order_id: string;
  created_ms: number;
  tenant_id: string;
  customer_id: string;
  currency: string;
  total_minor: number;
  amount_minor: number;
  payment_id: string;
  status: OrderState["status"];
  holds_stock: boolean;
  refund: OrderState["refund"];
  fulfilment_failures: number;
  notification: OrderState["notification"];
  reason: string | null;
  version: number;
  deadline_ms: number | null;
  traceparent: string;
  updated_ms: number;
}

/** For `sql.unsafe`: the columns of an `OrderRow`, of the table or alias `o`. */
export const orderColumns = `o.order_id, extract(epoch from o.created_at)::float8 * 1000 as created_ms, o.tenant_id, o.customer_id,
  o.currency, o.total_minor::float8 as total_minor, o.amount_minor::float8 as amount_minor, o.payment_id::text as payment_id, o.status,
  o.holds_stock, o.refund, o.fulfilment_failures, o.notification, o.reason, o.version,
  extract(epoch from o.charge_deadline)::float8 * 1000 as deadline_ms, o.traceparent,
  extract(epoch from o.updated_at)::float8 * 1000 as updated_ms`;

export function toOrder(row: OrderRow): Order {
  return {
    orderId: row.order_id,
    createdAt: toTime(row.created_ms),
    tenantId: row.tenant_id,
    customerId: row.customer_id,
    currency: row.currency,
    totalMinor: row.total_minor,
    paymentId: row.payment_id,
    state: {
      status: row.status,
      amountMinor: row.amount_minor,
      holdsStock: row.holds_stock,
      refund: row.refund,
      fulfilmentFailures: row.fulfilment_failures,
      notification: row.notification,
      reason: row.reason,
    },
    version: row.version,
    chargeDeadline: row.deadline_ms === null ? null : toTime(row.deadline_ms),
    traceparent: row.traceparent,
    updatedAt: toTime(row.updated_ms),
  };
}

/** Milliseconds of the epoch as the server has them, which may lack the last bit of a double. */
export function toTime(ms: number): string {
  return new Date(Math.round(ms)).toISOString();
}

/** @throws AppError internal when it is none of ours */
export function traceIdOf(text: string): string {
  const id = findTraceId(text);
  if (id === undefined) throw new AppError("internal", { context: { traceparent: text } });
  return id;
}
