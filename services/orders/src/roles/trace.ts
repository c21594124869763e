import { makeLogger } from "@pricing-engine/chassis/log";
import type { OrderResponse } from "@pricing-engine/contracts";
import { makePool } from "@pricing-engine/postgres";
import { readOrder } from "../adapters/order-reader.ts";

const usage = "trace ORDER_ID";

/** The order's story with times and trace ids. Exit code 0: told; 1: there is no such order; 2: wrong usage. */
export async function runTrace(
  args: readonly string[],
  config: { POSTGRES_URL: string },
  write: (line: string) => void,
): Promise<number> {
  const [orderId] = args;
  if (orderId === undefined || args.length !== 1) {
    write(`usage: ${usage}`);
    return 2;
  }
  const logger = makeLogger({ name: "orders-trace", level: "warn" });
  const pool = makePool({ url: config.POSTGRES_URL, max: 2, applicationName: "orders-trace", logger });
  try {
    const order = await readOrder(pool, async (stored) => stored, orderId, undefined);
    if (order === undefined) {
      const hint = orderId.startsWith("ord_") ? "" : ": the id of an order begins with ord_";
      write(`there is no order ${orderId}${hint}`);
      return 1;
    }
    for (const line of tell(order)) write(line);
    return 0;
  } finally {
    await pool.close();
  }
}

function* tell(order: OrderResponse): Generator<string> {
  yield `order     ${order.order_id} of ${order.customer_id} (tenant ${order.tenant_id})`;
  for (const item of order.items) yield `          ${item.quantity} × ${item.product_id} at ${item.unit_price}`;
  yield `total     ${order.total} ${order.currency}, payment ${order.payment_id}, refund ${order.refund}`;
  yield `now       ${order.status}, notification ${order.notification}${order.reason === null ? "" : `: ${order.reason}`}`;
  if (order.receipt_url !== null) yield `receipt   ${order.receipt_url}`;
  yield "";
  const startMs = Date.parse(order.created_at);
  for (const one of order.transitions) {
    const after = `+${Date.parse(one.at) - startMs} ms`.padStart(11);
    const path = one.from === null || one.from === one.to ? one.to : `${one.from} → ${one.to}`;
    const reason = one.reason === null ? "" : `  (${one.reason})`;
    yield `${one.at} ${after}  ${one.event.padEnd(22)} ${path.padEnd(26)} trace ${one.trace_id}${reason}`;
  }
}
