import type { CatalogEventData } from "@pricing-engine/contracts";
import { type Pool, query, type Sql } from "@pricing-engine/postgres";

/** What is stored of a plan already. */
export interface KnownPlan {
  readonly planHash: string | undefined;
  /** Of the fragment that is refused now. */
  readonly rejectedHash: string | undefined;
}

/**
 * @param confirmAs what is stored as the event has it takes this sequence, and counts as known only when it did: earlier messages
 * may still be on their way, and one of them must not replace it afterwards. Undefined: there are none.
 */
export type FindKnownPlans = (
  events: readonly Pick<CatalogEventData, "id" | "contentHash">[],
  confirmAs: number | undefined,
) => Promise<ReadonlyMap<string, KnownPlan>>;

const deadlineMs = 10_000;

/** Reads the primary: a replica that lags would have plans published again. */
export function makeFindKnownPlans(pool: Pool): FindKnownPlans {
  return (events, confirmAs) =>
    query(pool, deadlineMs, async ({ sql }) => {
      const stored = await readKnown(
        sql,
        events.map(({ id }) => id),
      );
      if (confirmAs === undefined) return stored;
      // What was something else just now counts as changed in any case: to publish too much is safe.
      const asStored = (hash: keyof KnownPlan) =>
        events.filter(({ id, contentHash }) => stored.get(id)?.[hash] === contentHash);
      const plans = await confirm(sql, "plans", asStored("planHash"), confirmAs);
      const rejections = await confirm(sql, "rejected_plans", asStored("rejectedHash"), confirmAs);
      return new Map(
        events.map(({ id, contentHash }) => [
          id,
          {
            planHash: plans.has(id) ? contentHash : undefined,
            // Of a plan that is good now: that there is any is enough to publish it.
            rejectedHash: rejections.has(id) ? contentHash : otherThan(contentHash, stored.get(id)?.rejectedHash),
          },
        ]),
      );
    });
}

/** What was not confirmed is not what the event says. */
function otherThan(hash: string, stored: string | undefined): string | undefined {
  return stored === hash ? undefined : stored;
}

async function readKnown(sql: Sql, ids: readonly string[]): Promise<Map<string, KnownPlan>> {
  const rows = await sql<{ id: string; plan_hash: string | null; rejected_hash: string | null }[]>`
    select i.id, p.content_hash as plan_hash, r.content_hash as rejected_hash
    from unnest(${[...ids]}::uuid[]) as i (id)
    left join ingest.plans p on p.id = i.id left join ingest.rejected_plans r on r.id = i.id
    where p.id is not null or r.id is not null`;
  return new Map(
    rows.map((row) => [row.id, { planHash: row.plan_hash ?? undefined, rejectedHash: row.rejected_hash ?? undefined }]),
  );
}

/** Locks in the order of ids, as workers do. A row that a worker changes meanwhile is looked at again after its commit. */
async function confirm(
  sql: Sql,
  table: "plans" | "rejected_plans",
  events: readonly Pick<CatalogEventData, "id" | "contentHash">[],
  sequence: number,
): Promise<ReadonlySet<string>> {
  if (events.length === 0) return new Set();
  const rows = await sql<{ id: string }[]>`
    with asked as (
      select * from unnest(${events.map(({ id }) => id)}::uuid[], ${events.map(({ contentHash }) => contentHash)}::text[]) as a (id, hash)
    ), same as (
      select s.id from ingest.${sql(table)} s join asked a on a.id = s.id
      where s.content_hash = a.hash and s.sequence < ${sequence} order by s.id for update of s
    )
    update ingest.${sql(table)} s set sequence = ${sequence} from same where s.id = same.id returning s.id`;
  return new Set(rows.map(({ id }) => id));
}
