import { type RawPlan, rawPlan } from "@pricing-engine/contracts";
import { type Pool, query, type Tx } from "@pricing-engine/postgres";
import type { PlanEvent, RejectedEvent } from "../domain/newest.ts";

export interface KeptRejection {
  readonly id: string;
  readonly source: string;
  readonly reason: string;
  readonly detail: string;
  readonly fragment: RawPlan;
  readonly sequence: number;
  readonly observedAt: Date;
  readonly firstSeenAt: Date;
  readonly lastSeenAt: Date;
}

/**
 * Keeps what was refused, unless the plan is known from a later poll; forgets what was refused of plans that are good by now.
 * @param applied plans that were stored in this transaction
 */
export async function keepRejections(
  tx: Tx,
  rejections: readonly RejectedEvent[],
  applied: readonly PlanEvent[],
): Promise<void> {
  if (rejections.length > 0) {
    const column = <T>(pick: (event: RejectedEvent) => T): T[] => rejections.map(pick);
    await tx.sql`
      insert into ingest.rejected_plans as r (id, source, reason, detail, fragment, content_hash, sequence, observed_at)
      select n.id, n.source, n.reason, n.detail, n.fragment::jsonb, n.content_hash, n.sequence, n.observed_at
      from unnest(
        ${column(({ id }) => id)}::uuid[], ${column(({ source }) => source)}::text[],
        ${column(({ reason }) => reason)}::text[], ${column(({ detail }) => detail)}::text[],
        ${column(({ fragment }) => JSON.stringify(fragment))}::text[], ${column(({ contentHash }) => contentHash)}::text[],
        ${column(({ sequence }) => sequence)}::bigint[], ${column(({ observedAt }) => observedAt)}::text[]::timestamptz[])
        as n (id, source, reason, detail, fragment, content_hash, sequence, observed_at)
      where not exists (select from ingest.plans p where p.id = n.id and p.sequence >= n.sequence)
      on conflict (id) do update set
        reason = excluded.reason, detail = excluded.detail, fragment = excluded.fragment,
        content_hash = excluded.content_hash, sequence = excluded.sequence, observed_at = excluded.observed_at,
        last_seen_at = now()
      where excluded.sequence > r.sequence`;
  }
  if (applied.length > 0) {
    await tx.sql`
      delete from ingest.rejected_plans r
      using unnest(${applied.map(({ id }) => id)}::uuid[], ${applied.map(({ sequence }) => sequence)}::bigint[]) as a (id, sequence)
      where r.id = a.id and r.sequence <= a.sequence`;
  }
}

const deadlineMs = 10_000;

/** Newest first. */
export async function listRejections(
  pool: Pool,
  filter: { readonly source?: string | undefined; readonly id?: string | undefined; readonly limit: number },
): Promise<KeptRejection[]> {
  const rows = await query(
    pool,
    deadlineMs,
    ({ sql }) => sql<
      {
        id: string;
        source: string;
        reason: string;
        detail: string;
        fragment: unknown;
        sequence: string;
        observed_at: string;
        first_seen_at: string;
        last_seen_at: string;
      }[]
    >`
      select * from ingest.rejected_plans
      where (${filter.source ?? null}::text is null or source = ${filter.source ?? null})
        and (${filter.id ?? null}::uuid is null or id = ${filter.id ?? null})
      order by last_seen_at desc, id limit ${filter.limit}`,
  );
  return rows.map((row) => ({
    id: row.id,
    source: row.source,
    reason: row.reason,
    detail: row.detail,
    fragment: rawPlan.parse(row.fragment),
    sequence: Number(row.sequence),
    observedAt: new Date(row.observed_at),
    firstSeenAt: new Date(row.first_seen_at),
    lastSeenAt: new Date(row.last_seen_at),
  }));
}
