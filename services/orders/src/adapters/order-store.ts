import type { Sql, Tx } from "@pricing-engine/postgres";
import type { OrderState } from "../domain/saga.ts";
import { type Order, type OrderRef, type OrderRow, orderColumns, toOrder, toTime, traceIdOf } from "./order-rows.ts";

type On = { readonly sql: Sql };

/** The orders that there are, which nobody else changes until the transaction ends; locked in the order of their ids, by bytes. */
export async function lockOrders({ sql }: Tx, refs: readonly OrderRef[]): Promise<Map<string, Order>> {
  const { ids, times } = columnsOf(refs);
  const rows = await sql<OrderRow[]>`
    select ${sql.unsafe(orderColumns)} from orders.orders o
    where o.order_id = any(${ids}::text[]) and o.created_at = any(${times}::timestamptz[])
    order by o.order_id collate "C" for update`;
  return byId(rows);
}

/** As they are now, to look whether there is something to do at all. */
export async function findOrders({ sql }: On, refs: readonly OrderRef[]): Promise<Map<string, Order>> {
  const { ids, times } = columnsOf(refs);
  const rows = await sql<OrderRow[]>`
    select ${sql.unsafe(orderColumns)} from orders.orders o
    where o.order_id = any(${ids}::text[]) and o.created_at = any(${times}::timestamptz[])`;
  return byId(rows);
}

/** An id is in one month alone: two arrays, which an index and the pruning of partitions take, name the same rows as pairs would. */
function columnsOf(refs: readonly OrderRef[]): { ids: string[]; times: string[] } {
  return { ids: refs.map(({ orderId }) => orderId), times: [...new Set(refs.map(({ createdAt }) => createdAt))] };
}

function byId(rows: readonly OrderRow[]): Map<string, Order> {
  return new Map(rows.map((row) => [row.order_id, toOrder(row)]));
}

export async function findOrderRefs({ sql }: On, orderIds: readonly string[]): Promise<Map<string, OrderRef>> {
  const rows = await sql<{ order_id: string; created_ms: number }[]>`
    select order_id, extract(epoch from created_at)::float8 * 1000 as created_ms from orders.order_keys
    where order_id = any(${[...orderIds]}::text[])`;
  return new Map(
    rows.map(({ order_id: orderId, created_ms }) => [orderId, { orderId, createdAt: toTime(created_ms) }]),
  );
}

export interface Move {
  readonly order: Order;
  readonly state: OrderState;
  readonly event: string;
  readonly reason: string | null;
  readonly at: string;
  readonly chargeDeadline: string | null;
  readonly overdueAt: string | null;
}

/**
 * The states and their transitions, in one statement: one move of each order. The caller holds the locks. Booleans go as text:
 * postgres.js takes an array of them for a single one.
 */
export async function writeMoves({ sql }: Tx, moves: readonly Move[]): Promise<void> {
  const of = <Value>(pick: (move: Move) => Value): Value[] => moves.map(pick);
  const { times } = columnsOf(of(({ order }) => order));
  await sql`
    with moves as materialized (
      select * from unnest(
        ${of(({ order }) => order.orderId)}::text[], ${of(({ order }) => order.createdAt)}::timestamptz[],
        ${of(({ order }) => order.version + 1)}::int[], ${of(({ order }) => order.state.status)}::text[],
        ${of(({ order }) => traceIdOf(order.traceparent))}::text[], ${of(({ state }) => state.status)}::text[],
        ${of(({ state }) => String(state.holdsStock))}::text[], ${of(({ state }) => state.refund)}::text[],
        ${of(({ state }) => state.fulfilmentFailures)}::int[], ${of(({ state }) => state.notification)}::text[],
        ${of(({ state }) => state.reason)}::text[], ${of(({ event }) => event)}::text[], ${of(({ reason }) => reason)}::text[],
        ${of(({ at }) => at)}::timestamptz[], ${of((move) => move.chargeDeadline)}::timestamptz[],
        ${of((move) => move.overdueAt)}::timestamptz[]
      ) as m (order_id, created_at, version, from_status, trace_id, status, holds_stock, refund, failures, notification, reason,
        event, event_reason, at, charge_deadline, overdue_at)
    ), moved as (
      update orders.orders o set status = m.status, holds_stock = m.holds_stock::boolean, refund = m.refund,
        fulfilment_failures = m.failures, notification = m.notification, reason = m.reason, version = m.version,
        charge_deadline = m.charge_deadline, overdue_at = m.overdue_at, updated_at = m.at
      from moves m
      where o.order_id = m.order_id and o.created_at = m.created_at
        and o.order_id = any(${of(({ order }) => order.orderId)}::text[]) and o.created_at = any(${times}::timestamptz[])
    )
    insert into orders.order_transitions (order_id, created_at, version, from_status, to_status, event, reason, at, trace_id)
    select order_id, created_at, version, from_status, status, event, event_reason, at, trace_id from moves`;
}

export interface Line {
  readonly productId: string;
  readonly name: string;
  readonly quantity: number;
  readonly unitPriceMinor: number;
  readonly decisionId: string | null;
  readonly initialStock: number | null;
}

/** Of each order, in their order. */
export async function readLines({ sql }: On, refs: readonly OrderRef[]): Promise<Map<string, Line[]>> {
  const { ids, times } = columnsOf(refs);
  const rows = await sql<
    {
      order_id: string;
      product_id: string;
      name: string;
      quantity: number;
      unit_price_minor: number;
      decision_id: string | null;
      initial_stock: number | null;
    }[]
  >`
    select order_id, product_id, name, quantity, unit_price_minor::float8 as unit_price_minor, decision_id, initial_stock
    from orders.order_items where order_id = any(${ids}::text[]) and created_at = any(${times}::timestamptz[])
    order by order_id, position`;
  const lines = new Map<string, Line[]>(ids.map((id) => [id, []]));
  for (const row of rows) {
    lines.get(row.order_id)?.push({
      productId: row.product_id,
      name: row.name,
      quantity: row.quantity,
      unitPriceMinor: row.unit_price_minor,
      decisionId: row.decision_id,
      initialStock: row.initial_stock,
    });
  }
  return lines;
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

/** Their rows, in one statement: a round trip each would be a third of the time of an order. */
export async function insertOrders({ sql }: Tx, orders: readonly NewOrder[]): Promise<void> {
  const of = <Value>(pick: (order: NewOrder) => Value): Value[] => orders.map(pick);
  const lines = orders.flatMap(({ orderId, createdAt, lines: own }) =>
    own.map((line, index) => ({ ...line, orderId, createdAt, position: index + 1 })),
  );
  const ofLines = <Value>(pick: (line: (typeof lines)[number]) => Value): Value[] => lines.map(pick);
  await sql`
    with input as materialized (
      select * from unnest(
        ${of(({ orderId }) => orderId)}::text[], ${of(({ createdAt }) => createdAt)}::timestamptz[],
        ${of(({ tenantId }) => tenantId)}::text[], ${of(({ customerId }) => customerId)}::text[],
        ${of(({ idempotencyKey }) => idempotencyKey)}::text[], ${of(({ currency }) => currency)}::text[],
        ${of(({ totalMinor }) => totalMinor)}::bigint[], ${of(({ amountMinor }) => amountMinor)}::bigint[],
        ${of(({ paymentId }) => paymentId)}::uuid[], ${of(({ overdueAt }) => overdueAt)}::timestamptz[],
        ${of(({ traceparent }) => traceparent)}::text[], ${of(({ traceparent }) => traceIdOf(traceparent))}::text[]
      ) as p (order_id, created_at, tenant_id, customer_id, idempotency_key, currency, total_minor, amount_minor, payment_id,
        overdue_at, traceparent, trace_id)
    ), known as (
      insert into orders.order_keys (order_id, created_at) select order_id, created_at from input
    ), placed as (
      insert into orders.orders (order_id, created_at, tenant_id, customer_id, idempotency_key, currency, total_minor, amount_minor,
        payment_id, status, overdue_at, traceparent, updated_at)
      select order_id, created_at, tenant_id, customer_id, idempotency_key, currency, total_minor, amount_minor,
        payment_id, 'placed', overdue_at, traceparent, created_at from input
    ), items as (
      insert into orders.order_items (order_id, created_at, position, product_id, name, quantity, unit_price_minor, decision_id, initial_stock)
      select * from unnest(${ofLines(({ orderId }) => orderId)}::text[], ${ofLines(({ createdAt }) => createdAt)}::timestamptz[],
        ${ofLines(({ position }) => position)}::int[], ${ofLines(({ productId }) => productId)}::text[],
        ${ofLines(({ name }) => name)}::text[], ${ofLines(({ quantity }) => quantity)}::int[],
        ${ofLines((line) => line.unitPriceMinor)}::bigint[], ${ofLines(({ decisionId }) => decisionId)}::text[],
        ${ofLines((line) => line.initialStock)}::int[])
    )
    insert into orders.order_transitions (order_id, created_at, version, from_status, to_status, event, reason, at, trace_id)
    select order_id, created_at, 1, null, 'placed', 'order_placed', null, created_at, trace_id from input`;
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
