import type { Logger } from "@pricing-engine/chassis/log";
import { counter } from "@pricing-engine/chassis/metrics";
import { type Pool, query, type Sql } from "@pricing-engine/postgres";
import type { SearchWindow } from "@pricing-engine/search-cache";
import { readPage, readRevision, type SearchPage, type SearchRow } from "./search-store.ts";
import { makeTurns } from "./turns.ts";

/** Where searches are read. */
export interface Catalogue {
  readPage(window: SearchWindow, take: number): Promise<SearchPage>;
  /** All of a large window in one snapshot, page by page; waits for its turn. @throws TooManyStreams when that takes too long */
  readAll(window: SearchWindow, pageSize: number): Promise<AsyncIterable<readonly SearchRow[]>>;
}

const reads = counter({
  name: "pricing_engine_search_reads_total",
  help: "Searches read from Postgres, by where and why: fresh replica, or the primary because the replica is behind, failing or absent.",
  labels: ["from", "reason"],
});

const primaryDeadlineMs = 5_000;
const replicaDeadlineMs = 1_500;
const revisionDeadlineMs = 500;
const replicaRestMs = 1_000;
const streamDeadlineMs = 60_000;
const maxStreams = 2;
const maxWaitingStreams = 100;
const streamPatienceMs = 10_000;

/**
 * Reads the replica when it shows the last committed update, else the primary. The check is by the catalogue's revision in the
 * replica's own snapshot, asked of the primary before: see docs/decisions/0010. With the primary away the replica counts as it is.
 *
 * A replica that failed or was behind is out until a probe finds it fresh: at most one a second, and no search waits for it.
 */
export function makeCatalogue(deps: {
  primary: Pool;
  replica: Pool | undefined;
  logger: Pick<Logger, "warn" | "info">;
  now: () => number;
}): Catalogue {
  const { primary, replica, logger, now } = deps;
  let isOut = false;
  let nextProbeMs = 0;
  const streams = makeTurns({ places: maxStreams, waiting: maxWaitingStreams, patienceMs: streamPatienceMs });

  const takeOut = (reason: string): void => {
    if (!isOut) logger.warn({ reason }, "searches are read from the primary");
    isOut = true;
    nextProbeMs = now() + replicaRestMs;
  };

  async function probe(pool: Pool): Promise<void> {
    nextProbeMs = Number.POSITIVE_INFINITY;
    const wanted = readRevision(primary, revisionDeadlineMs).catch(() => 0);
    const shown = await readRevision(pool, replicaDeadlineMs).catch(() => undefined);
    nextProbeMs = now() + replicaRestMs;
    if (shown === undefined || shown < (await wanted)) return;
    isOut = false;
    logger.info({ revision: shown }, "searches are read from the replica again");
  }

  function canReadReplica(pool: Pool): boolean {
    if (isOut && now() >= nextProbeMs) void probe(pool);
    return !isOut;
  }

  async function fromReplica(pool: Pool, window: SearchWindow, take: number): Promise<SearchPage | undefined> {
    const wanted = readRevision(primary, revisionDeadlineMs).catch(() => undefined);
    const page = await query(pool, replicaDeadlineMs, ({ sql }) => readPage(sql, window, window.after, take)).catch(
      (error: unknown) => {
        reads.inc({ from: "primary", reason: "replica_failed" });
        takeOut(error instanceof Error ? error.message : "failed");
        return undefined;
      },
    );
    if (page === undefined) return undefined;
    const revision = await wanted;
    if (revision !== undefined && page.revision < revision) {
      reads.inc({ from: "primary", reason: "replica_behind" });
      takeOut(`the replica shows revision ${page.revision} of ${revision}`);
      return undefined;
    }
    reads.inc({ from: "replica", reason: revision === undefined ? "primary_away" : "fresh" });
    return page;
  }

  return {
    async readPage(window, take) {
      if (replica !== undefined && canReadReplica(replica)) {
        const page = await fromReplica(replica, window, take);
        if (page !== undefined) return page;
      }
      try {
        const page = await query(primary, primaryDeadlineMs, ({ sql }) => readPage(sql, window, window.after, take));
        if (replica === undefined) reads.inc({ from: "primary", reason: "no_replica" });
        return page;
      } catch (error) {
        if (replica === undefined) throw error;
        // Old news from the replica is better than none.
        const page = await query(replica, replicaDeadlineMs, ({ sql }) =>
          readPage(sql, window, window.after, take),
        ).catch(() => undefined);
        if (page === undefined) throw error;
        reads.inc({ from: "replica", reason: "primary_away" });
        return page;
      }
    },
    async readAll(window, pageSize) {
      const release = await streams.take();
      if (release === undefined) throw new TooManyStreams();
      // What nobody begins to read never ends either: then the time that a stream has gives its place back.
      const timer = setTimeout(release, streamDeadlineMs);
      return released(streamPages(primary, window, pageSize), () => {
        clearTimeout(timer);
        release();
      });
    },
  };
}

/** Long answers hold a connection each; more of them would starve the short ones. */
export class TooManyStreams extends Error {}

async function* released<T>(source: AsyncIterable<T>, release: () => void): AsyncIterable<T> {
  try {
    yield* source;
  } finally {
    release();
  }
}

/** One repeatable-read transaction for all pages; a consumer that is slow for a minute loses it. */
async function* streamPages(pool: Pool, window: SearchWindow, pageSize: number): AsyncIterable<readonly SearchRow[]> {
  const session = pool.openSession();
  const timer = setTimeout(() => session.destroy(), streamDeadlineMs);
  const { sql }: { sql: Sql } = session;
  try {
    await sql.unsafe("begin transaction isolation level repeatable read, read only");
    let after = window.after;
    for (;;) {
      const { rows } = await readPage(sql, window, after, pageSize);
      if (rows.length > 0) yield rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < pageSize) return;
      after = { startsAtMs: last.startsAtMs, id: last.id };
    }
  } finally {
    clearTimeout(timer);
    session.destroy();
  }
}
