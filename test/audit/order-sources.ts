import { readdir } from "node:fs/promises";
import type postgres from "postgres";
import { z } from "zod";
import type { Charge, OrderAuditInput, OrderRow, StockRow } from "./orders.ts";
import type { Told } from "./payments.ts";

const chargeSchema = z.object({ correlationId: z.string(), amountMinor: z.int(), refunded: z.boolean() });

export interface OrderSources {
  readonly sql: postgres.Sql;
  /** Of both simulated processors. */
  readonly processors: readonly string[];
  /** Where receipts are written. */
  readonly receiptsFolder: string;
  /** What the stock of each product that is sold here began with. */
  readonly initial: ReadonlyMap<string, number>;
}

/** All that the audit of orders compares with what clients were told. */
export async function readOrderSources(sources: OrderSources): Promise<Omit<OrderAuditInput, "tales">> {
  const { sql, processors, receiptsFolder, initial } = sources;
  const charges = await Promise.all(processors.map(readCharges));
  return {
    rows: await readOrderRows(sql),
    stocks: await readStocks(sql, initial),
    charges: charges.flat(),
    receipts: await readReceipts(receiptsFolder),
  };
}

async function readCharges(url: string): Promise<readonly Charge[]> {
  const response = await fetch(`${url}/admin/dump`, { headers: { "x-rinha-token": "123" } });
  if (!response.ok) throw new Error(`${url}/admin/dump answered ${response.status}`);
  const lines = (await response.text()).split("\n");
  return lines.filter((line) => line !== "").map((line) => chargeSchema.parse(JSON.parse(line)));
}

async function readOrderRows(sql: postgres.Sql): Promise<readonly OrderRow[]> {
  const rows = await sql`
    select order_id as "orderId", idempotency_key as "idempotencyKey", status, refund, notification,
      payment_id::text as "paymentId", amount_minor::float8 as "amountMinor", holds_stock as "holdsStock"
    from orders.orders`;
  return rows as unknown as readonly OrderRow[];
}

async function readStocks(sql: postgres.Sql, initial: ReadonlyMap<string, number>): Promise<readonly StockRow[]> {
  const levels = await sql<{ productId: string; stock: number; reserved: number }[]>`
    select product_id as "productId", stock, reserved from orders.inventory`;
  const sold = await sql<{ productId: string; units: number }[]>`
    select i.product_id as "productId", sum(i.quantity)::int as units
    from orders.order_items i join orders.orders o using (order_id, created_at)
    where o.status in ('fulfilled', 'notified') group by i.product_id`;
  const soldOf = new Map(sold.map(({ productId, units }) => [productId, units]));
  return levels.flatMap(({ productId, stock, reserved }) => {
    const began = initial.get(productId);
    return began === undefined
      ? []
      : [{ productId, initial: began, stock, reserved, sold: soldOf.get(productId) ?? 0 }];
  });
}

/** Orders that have both of their files, or one: an order that was cancelled must have none. */
async function readReceipts(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return [...new Set(names.flatMap((name) => /(ord_[\w-]+)\.(?:json|html)$/.exec(name)?.[1] ?? []))];
}

const strength: Record<Told, number> = { refused: 0, unanswered: 1, accepted: 2 };

export type OrderTale = { readonly told: Told; readonly orderId?: string | undefined };

/** Adds what a client was told of a key. Of several answers the one that promises most counts. */
export function noteOrder(tales: Map<string, OrderTale>, key: string, tale: OrderTale): void {
  const before = tales.get(key);
  if (before === undefined || strength[tale.told] > strength[before.told]) tales.set(key, tale);
}
