import type { On } from "./on-postgres.ts";
import { toJson, toTime } from "./on-postgres.ts";

export interface StoredListPrice {
  readonly segment: string | undefined;
  readonly currency: string;
  readonly minQuantity: number;
  readonly validFromMs: number | undefined;
  readonly validToMs: number | undefined;
  readonly priceMinor: number;
  readonly priority: number;
}

/** A product as it is to be written; amounts in minor units of `currency`. */
export interface ProductWrite {
  readonly productId: string;
  readonly name: string;
  readonly basePriceMinor: number;
  readonly costMinor: number | undefined;
  readonly currency: string;
  readonly stock: number | undefined;
  readonly attributes: Record<string, unknown>;
  readonly listPrices: readonly StoredListPrice[];
  /** Equal for equal documents. */
  readonly contentHash: string;
}

export interface StoredProduct extends Omit<ProductWrite, "contentHash"> {
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export type WriteResult = "created" | "changed" | "unchanged";

interface Known {
  product_id: string;
  content_hash: string;
  currency: string;
  deleted: boolean;
}

/**
 * Writes products, each named once, and raises the revision of those that say something new. The caller publishes their prices in
 * the same transaction. Rows are locked in the order of product ids.
 */
export async function writeProducts(on: On, products: readonly ProductWrite[]): Promise<Map<string, WriteResult>> {
  const { sql } = on;
  const ids = products.map((product) => product.productId);
  const knownRows = await sql<Known[]>`
    select product_id, content_hash, currency, deleted_at is not null as deleted from pricing.products
    where product_id = any(${ids}::text[]) order by product_id for no key update`;
  const known = new Map(knownRows.map((row) => [row.product_id, row]));
  const results = new Map<string, WriteResult>();
  const written: ProductWrite[] = [];
  for (const product of products) {
    const before = known.get(product.productId);
    if (before !== undefined && !before.deleted && before.content_hash === product.contentHash) {
      results.set(product.productId, "unchanged");
    } else {
      written.push(product);
    }
  }
  if (written.length === 0) return results;
  for (const [productId, inserted] of await upsert(on, written)) {
    results.set(productId, inserted || known.get(productId)?.deleted === true ? "created" : "changed");
  }
  await replaceListPrices(on, written);
  // Amounts in another currency say nothing about the new one.
  const converted = written.filter((product) => {
    const before = known.get(product.productId);
    return before !== undefined && before.currency !== product.currency;
  });
  if (converted.length > 0) {
    await sql`
      update pricing.signals set value = null
      where product_id = any(${converted.map((product) => product.productId)}::text[])
        and kind in ('cost', 'competitor_price')`;
  }
  return results;
}

/** Inserts and replaces; true for those that were inserted. */
async function upsert({ sql }: On, products: readonly ProductWrite[]): Promise<Map<string, boolean>> {
  const rows = await sql<{ product_id: string; inserted: boolean }[]>`
    with written as (
      insert into pricing.products as p (product_id, name, base_price_minor, cost_minor, cost_stated_at, currency, stock,
        attributes, content_hash, revision, created_at, updated_at)
      select product_id, name, base_price_minor, cost_minor, case when cost_minor is not null then clock.now end, currency,
        stock, attributes, content_hash, 1, clock.now, clock.now
      from (select date_trunc('milliseconds', clock_timestamp()) as now) as clock,
        json_to_recordset(${toJson(products.map(toRow))}::text::json) as u (product_id text, name text,
          base_price_minor bigint, cost_minor bigint, currency text, stock integer, attributes jsonb, content_hash text)
      order by product_id collate "C"
      on conflict (product_id) do update set
        name = excluded.name, base_price_minor = excluded.base_price_minor, cost_minor = excluded.cost_minor,
        -- The same cost said again is not a newer observation of it.
        cost_stated_at = case
          when p.deleted_at is null and p.currency = excluded.currency and p.cost_minor = excluded.cost_minor
          then p.cost_stated_at else excluded.cost_stated_at end,
        currency = excluded.currency, stock = excluded.stock, attributes = excluded.attributes,
        content_hash = excluded.content_hash, revision = p.revision + 1, deleted_at = null,
        created_at = case when p.deleted_at is null then p.created_at else excluded.created_at end,
        updated_at = excluded.updated_at
      returning p.product_id, p.xmax = 0 as inserted, p.currency, p.base_price_minor
    ), priced as (
      -- Of a product that is new: a place for its price, which the caller publishes.
      insert into pricing.prices (product_id, sequence, facts_revision, policy_version, currency, base_price_minor, reason,
        decision_id, decided_at)
      select product_id, 0, 0, 0, currency, base_price_minor, '', '00000000-0000-0000-0000-000000000000', '-infinity'
      from written where inserted
      on conflict do nothing
    )
    select product_id, inserted from written`;
  return new Map(rows.map((row) => [row.product_id, row.inserted]));
}

function toRow(product: ProductWrite): Record<string, unknown> {
  return {
    product_id: product.productId,
    name: product.name,
    base_price_minor: product.basePriceMinor,
    cost_minor: product.costMinor,
    currency: product.currency,
    stock: product.stock,
    attributes: product.attributes,
    content_hash: product.contentHash,
  };
}

async function replaceListPrices({ sql }: On, products: readonly ProductWrite[]): Promise<void> {
  await sql`delete from pricing.list_prices where product_id = any(${products.map((p) => p.productId)}::text[])`;
  const rows = products.flatMap(({ productId, listPrices }) =>
    listPrices.map((entry, position) => ({
      product_id: productId,
      position,
      segment: entry.segment,
      currency: entry.currency,
      min_quantity: entry.minQuantity,
      valid_from: entry.validFromMs === undefined ? undefined : toTime(entry.validFromMs),
      valid_to: entry.validToMs === undefined ? undefined : toTime(entry.validToMs),
      price_minor: entry.priceMinor,
      priority: entry.priority,
    })),
  );
  if (rows.length === 0) return;
  await sql`
    insert into pricing.list_prices (product_id, position, segment, currency, min_quantity, valid_from, valid_to, price_minor,
      priority)
    select product_id, position, segment, currency, min_quantity, valid_from, valid_to, price_minor, priority
    from json_to_recordset(${toJson(rows)}::text::json) as u (product_id text, position smallint, segment text,
      currency text, min_quantity integer, valid_from timestamptz, valid_to timestamptz, price_minor bigint,
      priority integer)`;
}

export interface Tombstone {
  readonly sequence: number;
  readonly policyVersion: number;
  readonly currency: string;
  readonly decidedAtMs: number;
}

/** Leaves the tombstone of a product, with its next revision and sequence; undefined when there is no such product. */
export async function buryProduct({ sql }: On, productId: string, decisionId: string): Promise<Tombstone | undefined> {
  const [product] = await sql<{ revision: string }[]>`
    update pricing.products set deleted_at = clock_timestamp(), revision = revision + 1
    where product_id = ${productId} and deleted_at is null returning revision`;
  if (product === undefined) return undefined;
  await sql`delete from pricing.list_prices where product_id = ${productId}`;
  await sql`update pricing.signals set value = null where product_id = ${productId}`;
  const [row] = await sql<{ sequence: number; policy_version: number; currency: string; decided_ms: number }[]>`
    update pricing.prices set sequence = sequence + 1, facts_revision = ${product.revision}, price_minor = null,
      cost_minor = null, facts = null, steps = '[]', shadow = '[]', skipped = '[]', binding_rule = null,
      reason = 'The product was deleted', decision_id = ${decisionId},
      decided_at = greatest(decided_at, date_trunc('milliseconds', clock_timestamp()))
    where product_id = ${productId}
    returning sequence::float8 as sequence, policy_version::float8 as policy_version, currency,
      extract(epoch from decided_at)::float8 * 1000 as decided_ms`;
  if (row === undefined) throw new Error("a product has no row in prices");
  return {
    sequence: row.sequence,
    policyVersion: row.policy_version,
    currency: row.currency,
    decidedAtMs: Math.round(row.decided_ms),
  };
}

interface ProductRow {
  product_id: string;
  name: string;
  base_price_minor: number;
  cost_minor: number | null;
  currency: string;
  stock: number | null;
  attributes: Record<string, unknown>;
  created_ms: number;
  updated_ms: number;
  list_prices:
    | {
        segment: string | null;
        currency: string;
        min_quantity: number;
        valid_from: number | null;
        valid_to: number | null;
        price_minor: number;
        priority: number;
      }[]
    | null;
}

export async function findProduct(on: On, productId: string): Promise<StoredProduct | undefined> {
  const [product] = await selectProducts(on, on.sql`and p.product_id = ${productId}`, 1);
  return product;
}

/** The products after `afterId` in the order of their ids, at most `limit`. */
export async function listProducts(
  on: On,
  page: { afterId: string | undefined; limit: number },
): Promise<StoredProduct[]> {
  return selectProducts(on, on.sql`and p.product_id > ${page.afterId ?? ""}`, page.limit);
}

async function selectProducts({ sql }: On, condition: ReturnType<On["sql"]>, limit: number): Promise<StoredProduct[]> {
  const rows = await sql<ProductRow[]>`
    select p.product_id, p.name, p.base_price_minor::float8 as base_price_minor, p.cost_minor::float8 as cost_minor,
      p.currency, p.stock, p.attributes, extract(epoch from p.created_at)::float8 * 1000 as created_ms,
      extract(epoch from p.updated_at)::float8 * 1000 as updated_ms,
      (select jsonb_agg(jsonb_build_object('segment', l.segment, 'currency', l.currency, 'min_quantity', l.min_quantity,
          'valid_from', extract(epoch from l.valid_from) * 1000, 'valid_to', extract(epoch from l.valid_to) * 1000,
          'price_minor', l.price_minor, 'priority', l.priority) order by l.position)
        from pricing.list_prices l where l.product_id = p.product_id) as list_prices
    from pricing.products p where p.deleted_at is null ${condition} order by p.product_id limit ${limit}`;
  return rows.map((row) => ({
    productId: row.product_id,
    name: row.name,
    basePriceMinor: row.base_price_minor,
    costMinor: row.cost_minor ?? undefined,
    currency: row.currency,
    stock: row.stock ?? undefined,
    attributes: row.attributes,
    listPrices: (row.list_prices ?? []).map((entry) => ({
      segment: entry.segment ?? undefined,
      currency: entry.currency,
      minQuantity: entry.min_quantity,
      validFromMs: entry.valid_from === null ? undefined : Math.round(entry.valid_from),
      validToMs: entry.valid_to === null ? undefined : Math.round(entry.valid_to),
      priceMinor: entry.price_minor,
      priority: entry.priority,
    })),
    createdAtMs: Math.round(row.created_ms),
    updatedAtMs: Math.round(row.updated_ms),
  }));
}
