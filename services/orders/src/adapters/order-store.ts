import type { Sql, Tx } from "@pricing-engine/postgres";
import type { OrderState } from "../domain/saga.ts";
import { type Order, type OrderRef, type OrderRow, orderColumns, toOrder, toTime, traceIdOf } from "./order-rows.ts";

type On = { readonly sql: Sql };

/** The order, which nobody else changes until the transaction ends. */
export async function lockOrder({ sql }: Tx, { orderId, createdAt }: OrderRef): Promise<Order | undefined> {
  const [row] = await sql<OrderRow[]>`
    select ${sql.unsafe(orderColumns)} from orders.orders o
    where o.order_id = ${orderId} and o.created_at = ${createdAt}::timestamptz for update`;
  return row && toOrder(row);
}

/** As it is now, to look whether there is something to do at all. */
export async function findOrder({ sql }: On, { orderId, createdAt }: OrderRef): Promise<Order | undefined> {
  const [row] = await sql<OrderRow[]>`
    select ${sql.unsafe(orderColumns)} from orders.orders o
    where o.order_id = ${orderId} and o.created_at = ${createdAt}::timestamptz`;
  return row && toOrder(row);
}

export async function findOrderRef({ sql }: On, orderId: string): Promise<OrderRef | undefined> {
  const [row] = await sql<{ created_ms: number }[]>`
    select extract(epoch from created_at)::float8 * 1000 as created_ms from orders.order_keys where order_id = ${orderId}`;
  return row && { orderId, createdAt: toTime(row.created_ms) };
}

export interface Move {
  readonly state: OrderState;
  readonly event: string;
  readonly reason: string | null;
  readonly at: string;
  readonly chargeDeadline: string | null;
  readonly overdueAt: string | null;
}

/** The state and its transition, in one statement; the caller holds the lock. */
export async function writeMove({ sql }: Tx, order: Order, move: Move): Promise<void> {
  const { state, at } = move;
  const version = order.version + 1;
  await sql`
    with moved as (
      update orders.orders set status = ${state.status}, holds_stock = ${state.holdsStock}, refund = ${state.refund},
        fulfilment_failures = ${state.fulfilmentFailures}, notification = ${state.notification}, reason = ${state.reason},
        version = ${version}, charge_deadline = ${move.chargeDeadline}::timestamptz,
        overdue_at = ${move.overdueAt}::timestamptz, updated_at = ${at}::timestamptz
      where order_id = ${order.orderId} and created_at = ${order.createdAt}::timestamptz
    )
    insert into orders.order_transitions
      (order_id, created_at, version, from_status, to_status, event, reason, at, trace_id)
    values (${order.orderId}, ${order.createdAt}::timestamptz, ${version}, ${order.state.status}, ${state.status},
      ${move.event}, ${move.reason}, ${at}::timestamptz, ${traceIdOf(order.traceparent)})`;
}

export interface Line {
  readonly productId: string;
  readonly name: string;
  readonly quantity: number;
  readonly unitPriceMinor: number;
  readonly decisionId: string | null;
  readonly initialStock: number | null;
}

export async function readLines({ sql }: On, { orderId, createdAt }: OrderRef): Promise<Line[]> {
  const rows = await sql<
    {
      product_id: string;
      name: string;
      quantity: number;
      unit_price_minor: number;
      decision_id: string | null;
      initial_stock: number | null;
    }[]
  >`
    select product_id, name, quantity, unit_price_minor::float8 as unit_price_minor, decision_id, initial_stock
    from orders.order_items where order_id = ${orderId} and created_at = ${createdAt}::timestamptz order by position`;
  return rows.map((row) => ({
    productId: row.product_id,
    name: row.name,
    quantity: row.quantity,
    unitPriceMinor: row.unit_price_minor,
    decisionId: row.decision_id,
    initialStock: row.initial_stock,
  }));
}

export interface NewOrder {
  readonly orderId: string;
  readonly createdAt: string;
  readonly tenantId: string;
  readonly customerId: string;
  readonly idempotencyKey: string;
  readonly currency: string;
  readonly totalMinor: number;
  readonly amountMinor: number;
  readonly paymentId: string;
  readonly overdueAt: string;
  readonly traceparent: string;
  readonly lines: readonly Line[];
}

/** Its rows, in one statement: a round trip each would be a third of the time of an order. */
export async function insertOrder({ sql }: Tx, order: NewOrder): Promise<void> {
  const { orderId, createdAt, lines } = order;
  await sql`
    with known as (
      insert into orders.order_keys (order_id, created_at) values (${orderId}, ${createdAt}::timestamptz)
    ), placed as (
      insert into orders.orders (order_id, created_at, tenant_id, customer_id, idempotency_key, currency, total_minor, amount_minor,
        payment_id, status, overdue_at, traceparent, updated_at)
      values (${orderId}, ${createdAt}::timestamptz, ${order.tenantId}, ${order.customerId}, ${order.idempotencyKey},
        ${order.currency}, ${order.totalMinor}::bigint, ${order.amountMinor}::bigint, ${order.paymentId}::uuid, 'placed',
        ${order.overdueAt}::timestamptz, ${order.traceparent}, ${createdAt}::timestamptz)
    ), items as (
      insert into orders.order_items (order_id, created_at, position, product_id, name, quantity, unit_price_minor, decision_id, initial_stock)
      select ${orderId}, ${createdAt}::timestamptz, position, product_id, name, quantity, unit_price_minor, decision_id, initial_stock
      from unnest(${lines.map(({ productId }) => productId)}::text[], ${lines.map(({ name }) => name)}::text[],
        ${lines.map(({ quantity }) => quantity)}::int[], ${lines.map((line) => line.unitPriceMinor)}::bigint[],
        ${lines.map(({ decisionId }) => decisionId)}::text[], ${lines.map((line) => line.initialStock)}::int[])
        with ordinality as l (product_id, name, quantity, unit_price_minor, decision_id, initial_stock, position)
    )
    insert into orders.order_transitions (order_id, created_at, version, from_status, to_status, event, reason, at, trace_id)
    values (${orderId}, ${createdAt}::timestamptz, 1, null, 'placed', 'order_placed', null, ${createdAt}::timestamptz,
      ${traceIdOf(order.traceparent)})`;
}

/** Orders that wait for longer than they should, none of which another sweeper has in hand. */
export async function lockOverdue({ sql }: Tx, limit: number): Promise<Order[]> {
  const rows = await sql<OrderRow[]>`
    select ${sql.unsafe(orderColumns)} from orders.orders o where o.overdue_at < now()
    order by o.overdue_at limit ${limit} for update skip locked`;
  return rows.map(toOrder);
}

export async function postpone({ sql }: Tx, orders: readonly OrderRef[], overdueAt: string): Promise<void> {
  await sql`
    update orders.orders o set overdue_at = ${overdueAt}::timestamptz
    from unnest(${orders.map(({ orderId }) => orderId)}::text[], ${orders.map(({ createdAt }) => createdAt)}::timestamptz[])
      as due (order_id, created_at)
    where o.order_id = due.order_id and o.created_at = due.created_at`;
}
