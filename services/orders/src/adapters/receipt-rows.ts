import type { Tx } from "@pricing-engine/postgres";
import type { OrderRef } from "./order-rows.ts";

export interface KeptReceipt extends OrderRef {
  readonly jsonUrl: string;
  readonly pageUrl: string;
}

/** Where the receipts are, each with its order. */
export async function keepReceipts({ sql }: Tx, receipts: readonly KeptReceipt[]): Promise<void> {
  const ids = receipts.map(({ orderId }) => orderId);
  const times = receipts.map(({ createdAt }) => createdAt);
  await sql`
    with receipts as materialized (
      select * from unnest(${ids}::text[], ${times}::timestamptz[], ${receipts.map(({ jsonUrl }) => jsonUrl)}::text[],
        ${receipts.map(({ pageUrl }) => pageUrl)}::text[]) as r (order_id, created_at, json_url, page_url)
    ), kept as (
      insert into orders.receipts (order_id, json_url, page_url) select order_id, json_url, page_url from receipts
    )
    update orders.orders o set receipt_url = r.page_url, receipt_json_url = r.json_url from receipts r
    where o.order_id = r.order_id and o.created_at = r.created_at
      and o.order_id = any(${ids}::text[]) and o.created_at = any(${times}::timestamptz[])`;
}
