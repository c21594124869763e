import { type Pool, query } from "@pricing-engine/postgres";

/** What is stored of a plan already. */
export interface KnownPlan {
  readonly planHash: string | undefined;
  /** Of the fragment that is refused now. */
  readonly rejectedHash: string | undefined;
}

export type FindKnownPlans = (ids: readonly string[]) => Promise<ReadonlyMap<string, KnownPlan>>;

const deadlineMs = 10_000;

/** Reads the primary: a replica that lags would have plans published again. */
export function makeFindKnownPlans(pool: Pool): FindKnownPlans {
  return async (ids) => {
    const rows = await query(
      pool,
      deadlineMs,
      ({ sql }) => sql<{ id: string; plan_hash: string | null; rejected_hash: string | null }[]>`
        select i.id, p.content_hash as plan_hash, r.content_hash as rejected_hash
        from unnest(${[...ids]}::uuid[]) as i (id)
        left join ingest.plans p on p.id = i.id left join ingest.rejected_plans r on r.id = i.id
        where p.id is not null or r.id is not null`,
    );
    return new Map(
      rows.map((row) => [
        row.id,
        { planHash: row.plan_hash ?? undefined, rejectedHash: row.rejected_hash ?? undefined },
      ]),
    );
  };
}
