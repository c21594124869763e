import type { ListPrice, MarketBasis, ProductFacts, SkippedRule, StepRecord } from "../domain/types.ts";
import type { On } from "./on-postgres.ts";

/** All that a quote of one product follows from, besides the customer: of one snapshot. */
export interface QuoteBasis {
  readonly product: ProductFacts;
  readonly market: MarketBasis;
  readonly listPrices: readonly ListPrice[];
  /** Of the market price. */
  readonly sequence: number;
  /** The policy in force. */
  readonly policyVersion: number;
  /** The database's clock: list prices begin and end by it on every replica. */
  readonly nowMs: number;
}

/** How the market price in force came about. */
export interface MarketSteps {
  readonly steps: readonly StepRecord[];
  readonly shadow: readonly StepRecord[];
  readonly skipped: readonly SkippedRule[];
  readonly bindingRule: string | undefined;
}

interface Row {
  product_id: string;
  name: string;
  currency: string;
  base_price_minor: number;
  stock: number | null;
  attributes: Record<string, unknown>;
  sequence: number;
  price_minor: number;
  cost_minor: number | null;
  list_prices: ListPriceRow[] | null;
  policy_version: number;
  now_ms: number;
}

interface ListPriceRow {
  position: number;
  segment: string | null;
  currency: string;
  minQuantity: number;
  fromMs: number | null;
  toMs: number | null;
  priceMinor: number;
  priority: number;
}

interface StepsRow {
  steps: StepRecord[];
  shadow: StepRecord[];
  skipped: SkippedRule[];
  binding_rule: string | null;
}

/** The products among `productIds` that have a price, by id. One statement: price, list prices and policy agree. */
export async function readQuoteBases(on: On, productIds: readonly string[]): Promise<Map<string, QuoteBasis>> {
  const rows = await select<Row>(on, productIds, "");
  return new Map(rows.map((row) => [row.product_id, toBasis(row)]));
}

/** As `readQuoteBases` for one product, with the steps of its market price. */
export async function findExplainedBasis(
  on: On,
  productId: string,
): Promise<{ basis: QuoteBasis; market: MarketSteps } | undefined> {
  const [row] = await select<Row & StepsRow>(on, [productId], ", r.steps, r.shadow, r.skipped, r.binding_rule");
  if (row === undefined) return undefined;
  const { steps, shadow, skipped, binding_rule } = row;
  return { basis: toBasis(row), market: { steps, shadow, skipped, bindingRule: binding_rule ?? undefined } };
}

function select<T extends object>({ sql }: On, productIds: readonly string[], more: string): Promise<T[]> {
  // Not a column of its own per list price: most products have none, and the rest few.
  return sql<T[]>`
    select p.product_id, p.name, r.currency, r.base_price_minor::float8 as base_price_minor, p.stock, p.attributes,
      r.sequence::float8 as sequence, r.price_minor::float8 as price_minor, r.cost_minor::float8 as cost_minor,
      (select jsonb_agg(jsonb_build_object('position', l.position, 'segment', l.segment, 'currency', l.currency,
          'minQuantity', l.min_quantity, 'fromMs', extract(epoch from l.valid_from) * 1000,
          'toMs', extract(epoch from l.valid_to) * 1000, 'priceMinor', l.price_minor, 'priority', l.priority))
        from pricing.list_prices l where l.product_id = p.product_id) as list_prices,
      (select max(version) from pricing.policies)::float8 as policy_version,
      floor(extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms ${sql.unsafe(more)}
    from pricing.products p join pricing.prices r using (product_id)
    where p.product_id = any(${[...productIds]}::text[]) and p.deleted_at is null and r.price_minor is not null`;
}

function toBasis(row: Row): QuoteBasis {
  const { currency, base_price_minor: basePriceMinor, price_minor: priceMinor } = row;
  return {
    // The cost in force is the market's, wherever it came from.
    product: {
      productId: row.product_id,
      name: row.name,
      currency,
      basePriceMinor,
      cost: undefined,
      stock: row.stock ?? undefined,
      attributes: row.attributes,
    },
    market: { currency, priceMinor, basePriceMinor, costMinor: row.cost_minor ?? undefined },
    listPrices: (row.list_prices ?? []).map(toListPrice),
    sequence: row.sequence,
    policyVersion: row.policy_version,
    nowMs: row.now_ms,
  };
}

function toListPrice(row: ListPriceRow): ListPrice {
  return {
    // Digits of equal length, so that ids are in the order of positions.
    id: String(row.position).padStart(5, "0"),
    segment: row.segment ?? undefined,
    currency: row.currency,
    minQuantity: row.minQuantity,
    validFromMs: row.fromMs === null ? undefined : Math.round(row.fromMs),
    validToMs: row.toMs === null ? undefined : Math.round(row.toMs),
    priceMinor: row.priceMinor,
    priority: row.priority,
  };
}

/** Ids of products that have a price, after `afterId`, in order. */
export async function listPricedIds({ sql }: On, afterId: string, limit: number): Promise<string[]> {
  const rows = await sql<{ product_id: string }[]>`
    select p.product_id from pricing.products p join pricing.prices r using (product_id)
    where p.product_id > ${afterId} and p.deleted_at is null and r.price_minor is not null
    order by p.product_id limit ${limit}`;
  return rows.map((row) => row.product_id);
}
