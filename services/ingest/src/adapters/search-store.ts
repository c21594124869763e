import type { Pool, Sql } from "@pricing-engine/postgres";
import { query } from "@pricing-engine/postgres";
import type { Position, SearchWindow } from "@pricing-engine/search-cache";

export interface SearchRow extends Position {
  /** Ready JSON of the event. */
  readonly event: string;
}

export interface SearchPage {
  readonly revision: number;
  readonly rows: readonly SearchRow[];
}

/** A window's first `take` events behind `after`, with the revision of the catalogue in the same snapshot. */
export async function readPage(
  sql: Sql,
  { startsAtMs, endsAtMs }: Pick<SearchWindow, "startsAtMs" | "endsAtMs">,
  after: Position | undefined,
  take: number,
): Promise<SearchPage> {
  const from = iso(startsAtMs);
  const to = iso(endsAtMs);
  // What ends in the window also starts before its end: that bounds the part of the index that is read.
  const rows = await sql<{ revision: string; id: string | null; event: string; starts_ms: string }[]>`
    select c.revision, p.id, p.event, p.starts_ms
    from ingest.catalogue c left join lateral (
      select id, event, (extract(epoch from starts_at) * 1000)::bigint as starts_ms from ingest.plans
      where ever_online
        ${from === undefined ? sql`` : sql`and starts_at >= ${from}::timestamptz`}
        ${to === undefined ? sql`` : sql`and starts_at <= ${to}::timestamptz and ends_at <= ${to}::timestamptz`}
        ${after === undefined ? sql`` : sql`and (starts_at, id) > (${new Date(after.startsAtMs).toISOString()}::timestamptz, ${after.id}::uuid)`}
      order by starts_at, id limit ${take}
    ) p on true order by p.starts_ms, p.id`;
  const [first] = rows;
  if (first === undefined) throw new Error("the catalogue has no row");
  const found = rows.flatMap(({ id, event, starts_ms }) =>
    id === null ? [] : [{ id, event, startsAtMs: Number(starts_ms) }],
  );
  return { revision: Number(first.revision), rows: found };
}

export async function readRevision(pool: Pool, deadlineMs: number): Promise<number> {
  const rows = await query(
    pool,
    deadlineMs,
    ({ sql }) => sql<{ revision: string }[]>`select revision from ingest.catalogue`,
  );
  return Number(rows[0]?.revision ?? 0);
}

// Postgres has no year beyond 294276 and none before 4713 BC; queries name four digits.
function iso(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}
