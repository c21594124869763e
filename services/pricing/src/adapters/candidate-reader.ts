import type { MarketFacts, Signals } from "../domain/types.ts";
import type { On } from "./on-postgres.ts";

/** What a publish must still find in place; otherwise somebody else published meanwhile. */
export interface Fence {
  readonly sequence: number;
  readonly factsRevision: number;
}

/** The price that readers see now. */
interface PriceInForce {
  readonly priceMinor: number | undefined;
  readonly currency: string;
  readonly basePriceMinor: number;
  readonly costMinor: number | undefined;
}

/** All that a decision about one product needs, from one snapshot. */
export interface Candidate {
  readonly facts: MarketFacts;
  readonly factsRevision: number;
  readonly fence: Fence;
  readonly inForce: PriceInForce;
  /** The newest policy in that snapshot. */
  readonly policyVersion: number;
  /** The database's clock, but never before the decision in force: replicas' clocks have no say. */
  readonly nowMs: number;
}

interface Row {
  product_id: string;
  name: string;
  base_price_minor: number;
  cost_minor: number | null;
  cost_stated_ms: number | null;
  currency: string;
  stock: number | null;
  attributes: Record<string, unknown>;
  revision: number;
  sequence: number;
  facts_revision: number;
  last_minor: number | null;
  last_currency: string;
  last_base_minor: number;
  last_cost_minor: number | null;
  signals: Record<string, { value: Record<string, number>; at: number }> | null;
  day_ago_minor: number | null;
  day_ago_currency: string | null;
  policy_version: number;
  now_ms: number;
}

/**
 * The products among `productIds` that are there, in the order of their ids. One statement, so facts, fence and policy are of one
 * moment. The price of a day ago is looked up only under a policy that limits the daily drift.
 */
export async function readCandidates(on: On, productIds: readonly string[]): Promise<Candidate[]> {
  const rows = await on.sql<Row[]>`
    with policy as (
      select version, policy -> 'corridor' ? 'maxDailyDrift' as drifts from pricing.policies order by version desc limit 1
    ), clock as (select date_trunc('milliseconds', clock_timestamp()) as now)
    select p.product_id, p.name, p.base_price_minor::float8 as base_price_minor, p.cost_minor::float8 as cost_minor,
      extract(epoch from p.cost_stated_at)::float8 * 1000 as cost_stated_ms, p.currency, p.stock, p.attributes,
      p.revision::float8 as revision, r.sequence::float8 as sequence, r.facts_revision::float8 as facts_revision,
      r.price_minor::float8 as last_minor, r.currency as last_currency, r.base_price_minor::float8 as last_base_minor,
      r.cost_minor::float8 as last_cost_minor, s.signals,
      d.price_minor::float8 as day_ago_minor, d.currency as day_ago_currency, policy.version::float8 as policy_version,
      extract(epoch from greatest(clock.now, r.decided_at))::float8 * 1000 as now_ms
    from policy cross join clock
    cross join pricing.products p
    join pricing.prices r using (product_id)
    left join (
      select product_id, jsonb_object_agg(kind, jsonb_build_object('value', value,
        'at', extract(epoch from observed_at)::float8 * 1000)) as signals
      from pricing.signals where product_id = any(${[...productIds]}::text[]) and value is not null group by product_id
    ) s using (product_id)
    left join lateral (
      select h.price_minor, h.currency from pricing.price_history h
      where policy.drifts and h.product_id = p.product_id and h.decided_at <= clock.now - interval '24 hours'
        and h.decided_at >= p.created_at
      order by h.decided_at desc, h.sequence desc limit 1
    ) d on true
    where p.product_id = any(${[...productIds]}::text[]) and p.deleted_at is null
    order by p.product_id`;
  return rows.map(toCandidate);
}

function toCandidate(row: Row): Candidate {
  return {
    facts: {
      product: {
        productId: row.product_id,
        name: row.name,
        currency: row.currency,
        basePriceMinor: row.base_price_minor,
        cost:
          row.cost_minor === null || row.cost_stated_ms === null
            ? undefined
            : { costMinor: row.cost_minor, statedAtMs: row.cost_stated_ms },
        stock: row.stock ?? undefined,
        attributes: row.attributes,
      },
      signals: toSignals(row.signals ?? {}),
      last: row.last_minor === null ? undefined : { priceMinor: row.last_minor, currency: row.last_currency },
      dayAgo:
        row.day_ago_minor === null || row.day_ago_currency === null
          ? undefined
          : { priceMinor: row.day_ago_minor, currency: row.day_ago_currency },
    },
    factsRevision: row.revision,
    fence: { sequence: row.sequence, factsRevision: row.facts_revision },
    inForce: {
      priceMinor: row.last_minor ?? undefined,
      currency: row.last_currency,
      basePriceMinor: row.last_base_minor,
      costMinor: row.last_cost_minor ?? undefined,
    },
    policyVersion: row.policy_version,
    nowMs: Math.round(row.now_ms),
  };
}

function toSignals(stored: NonNullable<Row["signals"]>): Signals {
  const { demand, competitor_price: competitor, stock, cost } = stored;
  return {
    ...(demand && { demand: { observedAtMs: Math.round(demand.at), demand: demand.value.demand ?? 1 } }),
    ...(competitor && {
      competitor_price: {
        observedAtMs: Math.round(competitor.at),
        priceMinor: competitor.value.priceMinor ?? 0,
        confidence: competitor.value.confidence ?? 1,
      },
    }),
    ...(stock && { stock: { observedAtMs: Math.round(stock.at), stock: stock.value.stock ?? 0 } }),
    ...(cost && { cost: { observedAtMs: Math.round(cost.at), costMinor: cost.value.costMinor ?? 0 } }),
  };
}
