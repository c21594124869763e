import type { OrderListQuery, OrderListResponse, OrderResponse, OrderSummary } from "@pricing-engine/contracts";
import { formatMinor } from "@pricing-engine/money";
import { type Pool, query } from "@pricing-engine/postgres";
import { type OrderRow, orderColumns, toTime } from "./order-rows.ts";
import type { LinkReceipt } from "./receipt-links.ts";

const deadlineMs = 5_000;

interface ReadRow extends OrderRow {
  idempotency_key: string;
  receipt_url: string | null;
  receipt_json_url: string | null;
}

interface ItemRow {
  product_id: string;
  quantity: number;
  unit_price_minor: number;
  decision_id: string | null;
}

interface TransitionRow {
  from_status: OrderSummary["status"] | null;
  to_status: OrderSummary["status"];
  event: string;
  reason: string | null;
  at_ms: number;
  trace_id: string;
}

const readColumns = `${orderColumns}, o.idempotency_key, o.receipt_url, o.receipt_json_url`;

/** The order with its history; undefined also for one of another tenant. */
export async function readOrder(
  pool: Pool,
  link: LinkReceipt,
  orderId: string,
  tenantId: string | undefined,
): Promise<OrderResponse | undefined> {
  const found = await query(pool, deadlineMs, async ({ sql }) => {
    const [row] = await sql<(ReadRow & { items: ItemRow[]; transitions: TransitionRow[] })[]>`
      select ${sql.unsafe(readColumns)},
        (select jsonb_agg(jsonb_build_object('product_id', i.product_id, 'quantity', i.quantity,
            'unit_price_minor', i.unit_price_minor, 'decision_id', i.decision_id) order by i.position)
          from orders.order_items i where i.order_id = o.order_id and i.created_at = o.created_at) as items,
        (select jsonb_agg(jsonb_build_object('from_status', t.from_status, 'to_status', t.to_status, 'event', t.event,
            'reason', t.reason, 'at_ms', extract(epoch from t.at) * 1000, 'trace_id', t.trace_id) order by t.version)
          from orders.order_transitions t where t.order_id = o.order_id and t.created_at = o.created_at) as transitions
      from orders.order_keys k join orders.orders o on o.order_id = k.order_id and o.created_at = k.created_at
      where k.order_id = ${orderId}`;
    return row;
  });
  if (found === undefined || (tenantId !== undefined && found.tenant_id !== tenantId)) return undefined;
  const { currency } = found;
  return {
    ...(await summaryOf(found, link)),
    idempotency_key: found.idempotency_key,
    payment_id: found.payment_id,
    receipt_json_url: await link(found.receipt_json_url),
    items: found.items.map((item) => ({
      product_id: item.product_id,
      quantity: item.quantity,
      unit_price: formatMinor(item.unit_price_minor, currency),
      line_total: formatMinor(item.unit_price_minor * item.quantity, currency),
      decision_id: item.decision_id,
    })),
    transitions: found.transitions.map((one) => ({
      from: one.from_status,
      to: one.to_status,
      event: one.event,
      reason: one.reason,
      at: toTime(one.at_ms),
      trace_id: one.trace_id,
    })),
  };
}

export interface Position {
  readonly createdAt: string;
  readonly orderId: string;
}

/** A page, newest first; `next` is where the one after it begins. */
export async function listOrders(
  pool: Pool,
  link: LinkReceipt,
  filter: Pick<OrderListQuery, "status" | "from" | "to"> & {
    tenantId: string | undefined;
    after: Position | undefined;
  },
  limit: number,
): Promise<{ orders: OrderListResponse["orders"]; next: Position | undefined }> {
  const { status, from, to, tenantId, after } = filter;
  const rows = await query(
    pool,
    deadlineMs,
    ({ sql }) => sql<ReadRow[]>`
      select ${sql.unsafe(readColumns)} from orders.orders o
      where true
        ${tenantId === undefined ? sql`` : sql`and o.tenant_id = ${tenantId}`}
        ${status === undefined ? sql`` : sql`and o.status = ${status}`}
        ${from === undefined ? sql`` : sql`and o.created_at >= ${from}::timestamptz`}
        ${to === undefined ? sql`` : sql`and o.created_at <= ${to}::timestamptz`}
        ${after === undefined ? sql`` : sql`and (o.created_at, o.order_id) < (${after.createdAt}::timestamptz, ${after.orderId})`}
      order by o.created_at desc, o.order_id desc limit ${limit + 1}`,
  );
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  return {
    orders: await Promise.all(page.map((row) => summaryOf(row, link))),
    next: last && { createdAt: toTime(last.created_ms), orderId: last.order_id },
  };
}

async function summaryOf(row: ReadRow, link: LinkReceipt): Promise<OrderSummary> {
  return {
    order_id: row.order_id,
    tenant_id: row.tenant_id,
    customer_id: row.customer_id,
    status: row.status,
    total: formatMinor(row.total_minor, row.currency),
    currency: row.currency,
    refund: row.refund,
    notification: row.notification,
    reason: row.reason,
    receipt_url: await link(row.receipt_url),
    created_at: toTime(row.created_ms),
    updated_at: toTime(row.updated_ms),
  };
}
