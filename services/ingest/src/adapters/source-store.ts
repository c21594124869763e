import { type Pool, query } from "@pricing-engine/postgres";

/** A poll that may begin: its holder alone may publish under its sequence and say how it ended. */
export interface Claim {
  readonly source: string;
  readonly sequence: number;
  /** When it began, on Postgres' clock. */
  readonly observedAt: Date;
  readonly failures: number;
  /** Of the last document that was published whole; undefined when it was read in another way than now. */
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  /** Nothing that earlier polls published is still on its way. */
  readonly settled: boolean;
}

export interface PollResult {
  readonly outcome: "whole" | "unchanged" | "partial" | "failed";
  readonly error: string | undefined;
  readonly failures: number;
  readonly nextMs: number;
  readonly seen: number;
  readonly changed: number;
  readonly rejected: number;
  /** As of a claim, for the next poll. */
  readonly settled: boolean;
  /** Kept for the next conditional request: what is stored, or on its way, is what that document says. */
  readonly validators: { readonly etag: string | undefined; readonly lastModified: string | undefined } | undefined;
}

export interface SourceRow {
  readonly name: string;
  readonly failures: number;
  readonly lastOutcome: string | null;
  readonly lastError: string | null;
  readonly lastAttemptAt: Date | null;
  readonly lastSuccessAt: Date | null;
  readonly nextPollAt: Date;
  readonly seen: number;
  readonly changed: number;
  readonly rejected: number;
  readonly openRejections: number;
  readonly totals: {
    readonly polls: number;
    readonly failures: number;
    readonly partials: number;
    readonly changed: number;
  };
}

/** What decides, beside its row, whether a source is due. */
export interface PollPlan {
  /** How its document would be read. */
  readonly readAs: string;
  /** No wait is longer: one that is was planned under an older setting. */
  readonly longestWaitMs: number;
}

export interface SourceStore {
  /** Makes rows for sources that have none yet. */
  ensure(names: readonly string[]): Promise<void>;
  /**
   * Takes the lease of every source of the plans, by name, that is due and nobody's; one whose settings were edited is due at once. What
   * the row says of the last document is gone until the poll's end brings it back: one that dies may have published another one's plans.
   */
  claimDue(plans: ReadonlyMap<string, PollPlan>): Promise<Claim[]>;
  /** False when the lease is somebody else's by now. */
  renew(claim: Pick<Claim, "source" | "sequence">): Promise<boolean>;
  /** False when the lease was lost: then nothing is written. */
  finish(claim: Pick<Claim, "source" | "sequence">, result: PollResult): Promise<boolean>;
  /** Gives the lease back as if the poll had not begun; it is tried again after `waitMs`. */
  release(claim: Pick<Claim, "source" | "sequence">, waitMs: number): Promise<void>;
  read(names: readonly string[]): Promise<SourceRow[]>;
}

const deadlineMs = 5_000;

/** @param leaseMs a poller that is not heard of for so long has lost its leases */
export function makeSourceStore(pool: Pool, { owner, leaseMs }: { owner: string; leaseMs: number }): SourceStore {
  const lease = leaseMs / 1000;
  return {
    async ensure(names) {
      if (names.length === 0) return;
      await query(
        pool,
        deadlineMs,
        ({ sql }) => sql`
          insert into ingest.sources (name) select unnest(${[...names]}::text[]) on conflict do nothing`,
      );
    },
    async claimDue(plans) {
      const waits = [...plans.values()].map(({ longestWaitMs }) => longestWaitMs / 1000);
      const rows = await query(
        pool,
        deadlineMs,
        ({ sql }) => sql<
          {
            name: string;
            sequence: string;
            now: string;
            failures: number;
            etag: string | null;
            modified: string | null;
            settled: boolean;
          }[]
        >`
          with known as (
            select * from unnest(
              ${[...plans.keys()]}::text[], ${[...plans.values()].map(({ readAs }) => readAs)}::text[], ${waits}::float8[])
              as k (name, read_as, longest_wait)
          ), due as (
            select s.name, k.read_as, s.read_as as was_read_as, s.etag, s.last_modified, s.settled
            from ingest.sources s join known k using (name)
            where (s.next_poll_at <= now() or s.next_poll_at > now() + make_interval(secs => k.longest_wait)
                or s.read_as is distinct from k.read_as)
              and (s.lease_until is null or s.lease_until < now())
            for update of s skip locked
          )
          update ingest.sources s
          set lease_owner = ${owner}, lease_until = now() + make_interval(secs => ${lease}), sequence = s.sequence + 1,
            last_attempt_at = now(), etag = null, last_modified = null, settled = false, read_as = due.read_as
          from due where s.name = due.name
          returning s.name, s.sequence, now() as now, s.failures, due.settled,
            case when due.was_read_as = due.read_as then due.etag end as etag,
            case when due.was_read_as = due.read_as then due.last_modified end as modified`,
      );
      return rows.map((row) => ({
        source: row.name,
        sequence: Number(row.sequence),
        observedAt: new Date(row.now),
        failures: row.failures,
        etag: row.etag ?? undefined,
        lastModified: row.modified ?? undefined,
        settled: row.settled,
      }));
    },
    async renew({ source, sequence }) {
      const rows = await query(
        pool,
        deadlineMs,
        ({ sql }) => sql`
          update ingest.sources set lease_until = now() + make_interval(secs => ${lease})
          where name = ${source} and sequence = ${sequence} and lease_owner = ${owner}`,
      );
      return rows.count === 1;
    },
    async finish({ source, sequence }, result) {
      const { validators, outcome } = result;
      const good = outcome === "whole" || outcome === "unchanged";
      const counted = outcome === "whole" || outcome === "partial";
      const rows = await query(
        pool,
        deadlineMs,
        ({ sql }) => sql`
          update ingest.sources set
            lease_owner = null, lease_until = null,
            next_poll_at = now() + make_interval(secs => ${result.nextMs / 1000}),
            failures = ${result.failures}, last_outcome = ${outcome}, last_error = ${result.error ?? null},
            last_success_at = case when ${good} then now() else last_success_at end,
            etag = ${validators?.etag ?? null}, last_modified = ${validators?.lastModified ?? null},
            settled = ${result.settled},
            seen = case when ${counted} then ${result.seen} else seen end,
            changed = case when ${counted} then ${result.changed} when ${outcome === "unchanged"} then 0 else changed end,
            rejected = case when ${counted} then ${result.rejected} else rejected end,
            total_polls = total_polls + 1,
            total_failures = total_failures + ${outcome === "failed" ? 1 : 0},
            total_partials = total_partials + ${outcome === "partial" ? 1 : 0},
            total_changed = total_changed + ${result.changed}
          where name = ${source} and sequence = ${sequence} and lease_owner = ${owner}`,
      );
      return rows.count === 1;
    },
    async release({ source, sequence }, waitMs) {
      await query(
        pool,
        deadlineMs,
        ({ sql }) => sql`
          update ingest.sources set lease_owner = null, lease_until = null,
            next_poll_at = now() + make_interval(secs => ${waitMs / 1000})
          where name = ${source} and sequence = ${sequence} and lease_owner = ${owner}`,
      );
    },
    read: (names) => readSources(pool, names),
  };
}

/**
 * Has the next poll of a source read its document whole, changed or not. Also while one is in hand: how the document was read is written
 * as that begins, and not as it ends.
 */
export async function forgetDocument(pool: Pool, source: string): Promise<void> {
  await query(pool, deadlineMs, ({ sql }) => sql`update ingest.sources set read_as = null where name = ${source}`);
}

// drizzle, which shares the pool's connections, leaves times as text.
function toDate(text: string | null): Date | null {
  return text === null ? null : new Date(text);
}

/** In the order of their names; a source that nobody has looked at yet is left out. */
export async function readSources(pool: Pool, names: readonly string[]): Promise<SourceRow[]> {
  const rows = await query(
    pool,
    deadlineMs,
    ({ sql }) => sql<
      {
        name: string;
        failures: number;
        last_outcome: string | null;
        last_error: string | null;
        last_attempt_at: string | null;
        last_success_at: string | null;
        next_poll_at: string;
        seen: number;
        changed: number;
        rejected: number;
        open: string;
        total_polls: string;
        total_failures: string;
        total_partials: string;
        total_changed: string;
      }[]
    >`
      select s.*, (select count(*) from ingest.rejected_plans r where r.source = s.name) as open
      from ingest.sources s where s.name = any(${[...names]}::text[]) order by s.name`,
  );
  return rows.map((row) => ({
    name: row.name,
    failures: row.failures,
    lastOutcome: row.last_outcome,
    lastError: row.last_error,
    lastAttemptAt: toDate(row.last_attempt_at),
    lastSuccessAt: toDate(row.last_success_at),
    nextPollAt: new Date(row.next_poll_at),
    seen: row.seen,
    changed: row.changed,
    rejected: row.rejected,
    openRejections: Number(row.open),
    totals: {
      polls: Number(row.total_polls),
      failures: Number(row.total_failures),
      partials: Number(row.total_partials),
      changed: Number(row.total_changed),
    },
  }));
}
