import type { CatalogEventData, CatalogZone } from "@pricing-engine/contracts";
import { appendOutbox, type OutboxRow, type Pool, type Tx, withTransaction } from "@pricing-engine/postgres";
import { productRow, revisionRow } from "../adapters/outbox-rows.ts";
import {
  bumpRevision,
  lockPlans,
  markOnline,
  readZones,
  type StoredPlan,
  writePlans,
  writeZones,
} from "../adapters/plan-store.ts";
import { keepRejections } from "../adapters/rejection-store.ts";
import { schemaName } from "../adapters/schema.ts";
import type { Digest } from "../domain/identity.ts";
import { newestPerPlan, type PlanEvent } from "../domain/newest.ts";
import { diffProducts, type Handed } from "../domain/products.ts";
import { toSearchEvent } from "../domain/search-event.ts";

export type ApplyCatalogEvents = (events: readonly CatalogEventData[]) => Promise<{ applied: number }>;

const deadlineMs = 20_000;

/**
 * Stores what a poll published, all in one transaction with what follows from it. A plan is replaced only by a later poll's, so
 * repeats, late messages and replays change nothing; that a plan was online counts whenever it is heard of.
 */
export function makeApplyCatalogEvents(deps: {
  pool: Pool;
  digest: Digest;
  /** Of products, from the live settings. */
  currency: () => string;
}): ApplyCatalogEvents {
  return async (events) => {
    const { plans, everOnline, rejections } = newestPerPlan(events);
    if (plans.length === 0 && rejections.length === 0) return { applied: 0 };
    return withTransaction(
      deps.pool,
      async (tx) => {
        const applied = await storePlans(tx, plans, everOnline, deps);
        await keepRejections(tx, rejections, applied.plans);
        const rows = [...applied.rows];
        if (applied.visible) rows.push(revisionRow(await bumpRevision(tx)));
        await appendOutbox(tx, { schema: schemaName }, rows);
        return { applied: applied.plans.length };
      },
      { deadlineMs },
    );
  };
}

interface Applied {
  readonly plans: readonly PlanEvent[];
  readonly rows: readonly OutboxRow[];
  /** Whether a search may show something else than before. */
  readonly visible: boolean;
}

async function storePlans(
  tx: Tx,
  plans: readonly PlanEvent[],
  everOnline: ReadonlySet<string>,
  { digest, currency }: { digest: Digest; currency: () => string },
): Promise<Applied> {
  if (plans.length === 0) return { plans: [], rows: [], visible: false };
  const before = await lockPlans(
    tx,
    plans.map(({ id }) => id),
  );
  const zonesBefore = await readZones(
    tx,
    plans.flatMap(({ id }) => (before.get(id)?.products === true ? id : [])),
  );
  const writes = plans.map((event) => {
    const handed = handedOf(before.get(event.id), zonesBefore.get(event.id) ?? []);
    const of = { source: event.source, currency: currency() };
    const changes = event.products ? diffProducts(digest, event.id, of, handed, event.plan) : undefined;
    const json = JSON.stringify(toSearchEvent(event.id, event.plan));
    return { event, json, changes, handedZones: changes?.gone ?? handed.zones };
  });
  const stored = new Set(await writePlans(tx, writes, everOnline));
  const turnedOnline = await markOnline(tx, [...everOnline]);
  const applied = writes.filter(({ event }) => stored.has(event.id));
  await writeZones(
    tx,
    applied.map(({ event }) => event),
  );

  const rows = applied.flatMap(({ event, changes }) => {
    if (changes === undefined || (changes.writes.length === 0 && changes.stocks.length === 0)) return [];
    return [productRow(event, changes)];
  });
  const visible =
    turnedOnline > 0 || applied.some(({ event, json }) => showsDifferently(before.get(event.id), event, json));
  return { plans: applied.map(({ event }) => event), rows, visible };
}

function handedOf(old: StoredPlan | undefined, zones: readonly CatalogZone[]): Handed {
  if (old === undefined) return { plan: undefined, zones: [] };
  return { plan: old.products ? old : undefined, zones: [...zones, ...old.handedZones] };
}

function showsDifferently(old: StoredPlan | undefined, { plan }: PlanEvent, json: string): boolean {
  if (old === undefined) return plan.online;
  if (!old.everOnline) return plan.online;
  return old.event !== json || old.startsAtMs !== plan.startsAtMs || old.endsAtMs !== plan.endsAtMs;
}
