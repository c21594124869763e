import type { MarketEventData } from "@pricing-engine/contracts";
import { parseAmount } from "@pricing-engine/money";
import { type On, toJson } from "./on-postgres.ts";

export type SignalEvent = Exclude<MarketEventData, { kind: "recalculate" }>;

export interface LockedProduct {
  readonly currency: string;
  /** The database's clock. */
  readonly nowMs: number;
}

/** The product, if it is there, kept from other writers of its facts to the end of the transaction. */
export async function lockProduct({ sql }: On, productId: string): Promise<LockedProduct | undefined> {
  const [row] = await sql<{ currency: string; now_ms: number }[]>`
    select currency, extract(epoch from clock_timestamp())::float8 * 1000 as now_ms from pricing.products
    where product_id = ${productId} and deleted_at is null for no key update`;
  return row === undefined ? undefined : { currency: row.currency, nowMs: Math.floor(row.now_ms) };
}

/**
 * Keeps the observation when it is newer than the one that is known, and raises the product's revision. Of two of the same moment the
 * one with the greater id is newer: so what stays in the end does not depend on the order of arrival. False: it was not newer.
 */
export async function applySignal(
  { sql }: On,
  signal: { event: SignalEvent; eventId: string; currency: string },
): Promise<boolean> {
  const { event } = signal;
  const rows = await sql`
    with newer as (
      insert into pricing.signals as s (product_id, kind, value, observed_at, event_id)
      values (${event.productId}, ${event.kind}, ${toJson(toValue(event, signal.currency))}::text::jsonb,
        ${event.observedAt}::text::timestamptz, ${signal.eventId})
      on conflict (product_id, kind) do update
        set value = excluded.value, observed_at = excluded.observed_at, event_id = excluded.event_id
        where (s.observed_at, s.event_id) < (excluded.observed_at, excluded.event_id)
      returning product_id
    )
    update pricing.products set revision = revision + 1 where product_id in (select product_id from newer)`;
  return rows.count === 1;
}

function toValue(event: SignalEvent, currency: string): Record<string, number> {
  switch (event.kind) {
    case "demand":
      return { demand: event.demand };
    case "competitor_price":
      return { priceMinor: parseAmount(event.price, currency), confidence: event.confidence ?? 1 };
    case "stock":
      return { stock: event.stock };
    case "cost":
      return { costMinor: parseAmount(event.cost, currency) };
  }
}
