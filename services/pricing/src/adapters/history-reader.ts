import type { MarketFacts } from "../domain/types.ts";
import { type On, toTime } from "./on-postgres.ts";
import type { MarketSteps } from "./quote-reader.ts";

export interface HistoryEntry {
  readonly priceMinor: number;
  readonly currency: string;
  readonly decidedAtMs: number;
  readonly decisionId: string;
  readonly reason: string;
}

export interface PriceWindow {
  readonly entries: readonly HistoryEntry[];
  /** In the currency of the price in force at the end of the window. */
  readonly lowest: { readonly priceMinor: number; readonly currency: string } | undefined;
}

interface EntryRow {
  price_minor: number;
  currency: string;
  decided_ms: number;
  decision_id: string;
  reason: string;
}

const maxEntries = 10_000;

/**
 * Market prices in force at some time in the window, oldest first: those decided in it (both ends included), after the one that was
 * in force when it opened, unless that was replaced in that very moment. Undefined: there is no such product. Without `from` the window opens 30 days before it ends,
 * without `to` it ends now. Of more than 10,000 the newest are listed; all of them count for the lowest.
 */
export async function findPriceWindow(
  { sql }: On,
  productId: string,
  window: { fromMs: number | undefined; toMs: number | undefined },
): Promise<PriceWindow | undefined> {
  const from = window.fromMs === undefined ? null : toTime(window.fromMs);
  const to = window.toMs === undefined ? null : toTime(window.toMs);
  const [product] = await sql<{ entries: EntryRow[]; lowest_minor: number | null; lowest_currency: string | null }[]>`
    with product as (
      select p.created_at, coalesce(${to}::timestamptz, clock_timestamp()) as closes,
        coalesce(${from}::timestamptz, coalesce(${to}::timestamptz, clock_timestamp()) - interval '30 days') as opens
      from pricing.products p where p.product_id = ${productId} and p.deleted_at is null
    ), history as (
      select h.* from product, lateral (
        (select * from pricing.price_history
          where product_id = ${productId} and decided_at < opens and decided_at >= created_at and not exists (
            select from pricing.price_history where product_id = ${productId} and decided_at = opens)
          order by decided_at desc, sequence desc limit 1)
        union all
        (select * from pricing.price_history
          where product_id = ${productId} and decided_at >= opens and decided_at <= closes and decided_at >= created_at)
      ) as h
    ), last as (
      select currency from history order by decided_at desc, sequence desc limit 1
    )
    select (select currency from last) as lowest_currency,
      (select min(price_minor)::float8 from history where currency = (select currency from last)) as lowest_minor,
      coalesce((select jsonb_agg(jsonb_build_object('price_minor', price_minor, 'currency', currency,
          'decided_ms', extract(epoch from decided_at) * 1000, 'decision_id', decision_id, 'reason', reason)
          order by decided_at, sequence)
        from (select * from history order by decided_at desc, sequence desc limit ${maxEntries}) as newest), '[]') as entries
    from product`;
  if (product === undefined) return undefined;
  const { lowest_minor: priceMinor, lowest_currency: currency } = product;
  return {
    entries: product.entries.map((row) => ({
      priceMinor: row.price_minor,
      currency: row.currency,
      decidedAtMs: Math.round(row.decided_ms),
      decisionId: row.decision_id,
      reason: row.reason,
    })),
    lowest: priceMinor === null || currency === null ? undefined : { priceMinor, currency },
  };
}

export interface RecordedPrice extends MarketSteps {
  readonly priceMinor: number;
  readonly facts: MarketFacts;
  readonly policyVersion: number;
  readonly decidedAtMs: number;
}

/** Which of a product's market prices: the one with a sequence, or the one that a history entry names. */
export type RecordedKey = { readonly sequence: number } | { readonly decisionId: string };

/** A market price as it was recorded; undefined when it is no longer kept. */
export async function findRecordedPrice(
  { sql }: On,
  productId: string,
  key: RecordedKey,
): Promise<RecordedPrice | undefined> {
  const [row] = await sql<
    {
      price_minor: number;
      facts: MarketFacts;
      policy_version: number;
      decided_ms: number;
      steps: MarketSteps["steps"];
      shadow: MarketSteps["shadow"];
      skipped: MarketSteps["skipped"];
      binding_rule: string | null;
    }[]
  >`
    select price_minor::float8 as price_minor, facts, policy_version::float8 as policy_version,
      extract(epoch from decided_at)::float8 * 1000 as decided_ms, steps, shadow, skipped, binding_rule
    from pricing.price_history where product_id = ${productId}
      and ${"sequence" in key ? sql`sequence = ${key.sequence}` : sql`decision_id = ${key.decisionId}`}
    order by decided_at desc limit 1`;
  if (row === undefined) return undefined;
  const { steps, shadow, skipped } = row;
  return {
    priceMinor: row.price_minor,
    facts: row.facts,
    policyVersion: row.policy_version,
    decidedAtMs: Math.round(row.decided_ms),
    steps,
    shadow,
    skipped,
    bindingRule: row.binding_rule ?? undefined,
  };
}

/** The market prices in force 24 hours ago, of the products that had one then. */
export async function readDayAgo(
  { sql }: On,
  productIds: readonly string[],
): Promise<Map<string, { priceMinor: number; currency: string }>> {
  const rows = await sql<{ product_id: string; price_minor: number; currency: string }[]>`
    select p.product_id, h.price_minor::float8 as price_minor, h.currency
    from pricing.products p cross join lateral (
      select price_minor, currency from pricing.price_history
      where product_id = p.product_id and decided_at <= now() - interval '24 hours' and decided_at >= p.created_at
      order by decided_at desc, sequence desc limit 1
    ) h where p.product_id = any(${[...productIds]}::text[])`;
  return new Map(rows.map((row) => [row.product_id, { priceMinor: row.price_minor, currency: row.currency }]));
}
