import type { CatalogZone } from "@pricing-engine/contracts";
import type { Tx } from "@pricing-engine/postgres";
import type { PlanEvent } from "../domain/newest.ts";
import type { ProductFacts } from "../domain/products.ts";

export interface StoredPlan extends ProductFacts {
  readonly everOnline: boolean;
  readonly products: boolean;
  readonly event: string;
  /** Zones whose products pricing has beside those of the plan as it is now: the ones that are gone, or all while `products` is false. */
  readonly handedZones: readonly CatalogZone[];
}

export interface PlanWrite {
  readonly event: PlanEvent;
  /** What `/search` shows. */
  readonly json: string;
  /** To be kept as {@link StoredPlan.handedZones}. */
  readonly handedZones: readonly CatalogZone[];
}

/** The plans that are there, locked in the order of their ids. */
export async function lockPlans(tx: Tx, ids: readonly string[]): Promise<ReadonlyMap<string, StoredPlan>> {
  const rows = await tx.sql<
    {
      id: string;
      base_plan_id: string;
      plan_id: string;
      title: string;
      starts_ms: string;
      ends_ms: string;
      online: boolean;
      sold_out: boolean;
      ever_online: boolean;
      products: boolean;
      event: string;
      handed_zones: CatalogZone[] | null;
    }[]
  >`
    select id, base_plan_id, plan_id, title, (extract(epoch from starts_at) * 1000)::bigint as starts_ms,
      (extract(epoch from ends_at) * 1000)::bigint as ends_ms, online, sold_out, ever_online, products, event, handed_zones
    from ingest.plans where id = any(${[...ids]}::uuid[]) order by id for update`;
  return new Map(
    rows.map((row) => [
      row.id,
      {
        basePlanId: row.base_plan_id,
        planId: row.plan_id,
        title: row.title,
        startsAtMs: Number(row.starts_ms),
        endsAtMs: Number(row.ends_ms),
        online: row.online,
        soldOut: row.sold_out,
        everOnline: row.ever_online,
        products: row.products,
        event: row.event,
        handedZones: row.handed_zones ?? [],
      },
    ]),
  );
}

/** Inserts, or replaces what an earlier poll said. Returns the ids of those that were written. */
export async function writePlans(
  tx: Tx,
  writes: readonly PlanWrite[],
  everOnline: ReadonlySet<string>,
): Promise<string[]> {
  const column = <T>(pick: (event: PlanEvent) => T): T[] => writes.map(({ event }) => pick(event));
  const iso = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString());
  const rows = await tx.sql<{ id: string }[]>`
    insert into ingest.plans as p (
      id, source, base_plan_id, plan_id, title, online, ever_online, sold_out, organizer_company_id, start_local, end_local,
      starts_at, ends_at, sell_from, sell_to, event, products, content_hash, sequence, handed_zones)
    select * from unnest(
      ${column(({ id }) => id)}::uuid[], ${column(({ source }) => source)}::text[],
      ${column(({ plan }) => plan.basePlanId)}::text[], ${column(({ plan }) => plan.planId)}::text[],
      ${column(({ plan }) => plan.title)}::text[], ${column(({ plan }) => String(plan.online))}::text[]::boolean[],
      ${column(({ id }) => String(everOnline.has(id)))}::text[]::boolean[],
      ${column(({ plan }) => String(plan.soldOut))}::text[]::boolean[],
      ${column(({ plan }) => plan.organizerCompanyId ?? null)}::text[], ${column(({ plan }) => plan.start)}::text[]::timestamp[],
      ${column(({ plan }) => plan.end)}::text[]::timestamp[], ${column(({ plan }) => iso(plan.startsAtMs))}::text[]::timestamptz[],
      ${column(({ plan }) => iso(plan.endsAtMs))}::text[]::timestamptz[], ${column(({ plan }) => iso(plan.sellFromMs))}::text[]::timestamptz[],
      ${column(({ plan }) => iso(plan.sellToMs))}::text[]::timestamptz[], ${writes.map(({ json }) => json)}::text[],
      ${column(({ products }) => String(products))}::text[]::boolean[],
      ${column(({ contentHash }) => contentHash)}::text[], ${column(({ sequence }) => sequence)}::bigint[],
      ${writes.map(({ handedZones }) => (handedZones.length === 0 ? null : JSON.stringify(handedZones)))}::text[]::jsonb[])
    on conflict (id) do update set
      title = excluded.title, online = excluded.online, ever_online = p.ever_online or excluded.ever_online,
      sold_out = excluded.sold_out, organizer_company_id = excluded.organizer_company_id,
      start_local = excluded.start_local, end_local = excluded.end_local, starts_at = excluded.starts_at,
      ends_at = excluded.ends_at, sell_from = excluded.sell_from, sell_to = excluded.sell_to, event = excluded.event,
      products = excluded.products, content_hash = excluded.content_hash, sequence = excluded.sequence,
      handed_zones = excluded.handed_zones, updated_at = now()
    where excluded.sequence > p.sequence
    returning id`;
  return rows.map(({ id }) => id);
}

/** Of plans whose message came too late: that they were online counts all the same. Returns how many turned. */
export async function markOnline(tx: Tx, ids: readonly string[]): Promise<number> {
  if (ids.length === 0) return 0;
  const { count } = await tx.sql`
    update ingest.plans set ever_online = true where id = any(${[...ids]}::uuid[]) and not ever_online`;
  return count;
}

export async function readZones(tx: Tx, ids: readonly string[]): Promise<ReadonlyMap<string, CatalogZone[]>> {
  if (ids.length === 0) return new Map();
  const rows = await tx.sql<
    { plan: string; zone_id: string; name: string; numbered: boolean; capacity: number; price_hundredths: string }[]
  >`
    select plan, zone_id, name, numbered, capacity, price_hundredths from ingest.zones
    where plan = any(${[...ids]}::uuid[]) order by plan, position`;
  const zones = new Map<string, CatalogZone[]>();
  for (const row of rows) {
    const list = zones.get(row.plan) ?? [];
    list.push({
      zoneId: row.zone_id,
      name: row.name,
      numbered: row.numbered,
      capacity: row.capacity,
      priceHundredths: Number(row.price_hundredths),
    });
    zones.set(row.plan, list);
  }
  return zones;
}

/** Replaces the zones of the plans. */
export async function writeZones(tx: Tx, events: readonly PlanEvent[]): Promise<void> {
  if (events.length === 0) return;
  await tx.sql`delete from ingest.zones where plan = any(${events.map(({ id }) => id)}::uuid[])`;
  const zones = events.flatMap(({ plan }) => plan.zones);
  if (zones.length === 0) return;
  const plans = events.flatMap(({ id, plan }) => plan.zones.map(() => id));
  const positions = events.flatMap(({ plan }) => [...plan.zones.keys()]);
  await tx.sql`
    insert into ingest.zones (plan, position, zone_id, name, numbered, capacity, price_hundredths)
    select * from unnest(
      ${plainArray(plans)}::text::uuid[], ${plainArray(positions)}::text::int[],
      ${textArray(zones.map(({ zoneId }) => zoneId))}::text::text[], ${textArray(zones.map(({ name }) => name))}::text::text[],
      ${plainArray(zones.map(({ numbered }) => numbered))}::text::boolean[],
      ${plainArray(zones.map(({ capacity }) => capacity))}::text::int[],
      ${plainArray(zones.map(({ priceHundredths }) => priceHundredths))}::text::bigint[])`;
}

/** What needs no quotes, as Postgres writes an array: the driver looks for quotes in every one, which took a sixth of a worker's time. */
function plainArray(values: readonly (number | boolean | string)[]): string {
  return `{${values.join(",")}}`;
}

const special = /["\\]/;
const specials = /["\\]/g;

/** Texts, as Postgres writes an array; they are looked through once, where the driver does so twice. */
function textArray(values: readonly string[]): string {
  const quoted = values.map((value) => `"${special.test(value) ? value.replace(specials, "\\$&") : value}"`);
  return `{${quoted.join(",")}}`;
}

/** The next revision of the catalogue. Held until the commit: revisions are committed in their order. */
export async function bumpRevision(tx: Tx): Promise<number> {
  const [row] = await tx.sql<{ revision: string }[]>`
    update ingest.catalogue set revision = revision + 1 returning revision`;
  if (row === undefined) throw new Error("the catalogue has no row");
  return Number(row.revision);
}
