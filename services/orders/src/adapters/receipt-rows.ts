import type { Tx } from "@pricing-engine/postgres";
import type { OrderRef } from "./order-rows.ts";

/** Where the receipt is, with its order. */
export async function keepReceipt(
  { sql }: Tx,
  { orderId, createdAt }: OrderRef,
  { jsonUrl, pageUrl }: { jsonUrl: string; pageUrl: string },
): Promise<void> {
  await sql`
    with kept as (
      insert into orders.receipts (order_id, json_url, page_url) values (${orderId}, ${jsonUrl}, ${pageUrl})
    )
    update orders.orders set receipt_url = ${pageUrl}, receipt_json_url = ${jsonUrl}
    where order_id = ${orderId} and created_at = ${createdAt}::timestamptz`;
}
