import type { Logger } from "@pricing-engine/chassis/log";
import postgres from "postgres";
import { isPostgresOutage, PostgresConnectionError } from "./errors.ts";
import { listen } from "./listen.ts";
import { trackPool } from "./pool-metrics.ts";
import { clientOptions, makeSession, type Session, type SessionOptions, type Sql } from "./session.ts";

export interface PoolOptions {
  url: string;
  /** Connections in all, at least 2: a quarter for `sql`, the rest for `withTransaction` and `query`. */
  max: number;
  applicationName: string;
  /** The server gives up a statement after this. Default 10 s. */
  statementTimeoutMs?: number;
  /** Default 5 s. */
  connectTimeoutMs?: number;
  logger: Pick<Logger, "warn" | "info" | "debug">;
}

/** Connections to one database. Nothing is opened before the first query. */
export interface Pool {
  /** Pipelined single statements, bounded by the server's statement time-out alone. With a deadline: `query`. */
  sql: Sql;
  /** Lends a connection to `use` alone. `waitMs` bounds the wait for a free one. Prefer `withTransaction` and `query`. */
  lend<T>(waitMs: number, use: (session: Session) => Promise<T>): Promise<T>;
  /** A connection outside the limit, for LISTEN and for session locks. The caller closes it. */
  openSession(): Session;
  /**
   * NOTIFY at once, but one in 20 ms at most: for all calls until then together. Not in the transactions themselves: NOTIFY takes a lock of
   * the whole server at commit, so that all writers would commit one after another. May be lost: listeners poll as well.
   */
  notifySoon(channel: string): void;
  /** Calls `listener` on each NOTIFY and after each (re)connection. Reconnects for ever. */
  listen(channel: string, listener: () => void): { close(): Promise<void> };
  /** Throws when Postgres does not answer within `timeoutMs` (default 2 s). */
  check(timeoutMs?: number): Promise<void>;
  /** Connections lent, idle and asked for. */
  use(): { busy: number; idle: number; waiting: number };
  /** Waits for what is running, at most 5 s, then destroys the rest. */
  close(): Promise<void>;
}

const maxAgeMs = 30 * 60_000;
const notifySpacingMs = 20;

interface Waiter {
  resolve(session: Session): void;
  reject(error: Error): void;
}

export function makePool(options: PoolOptions): Pool {
  if (!Number.isInteger(options.max) || options.max < 2) {
    throw new RangeError(`a pool needs at least 2 connections, not ${options.max}`);
  }
  const sessionOptions: SessionOptions = {
    url: options.url,
    applicationName: options.applicationName,
    statementTimeoutMs: options.statementTimeoutMs ?? 10_000,
    connectTimeoutMs: options.connectTimeoutMs ?? 5000,
  };
  const shared = Math.max(1, Math.floor(options.max / 4));
  const limit = options.max - shared;
  const sql: Sql = postgres(options.url, { ...clientOptions(sessionOptions), max: shared, idle_timeout: 60 });
  const idle: { session: Session; bornAtMs: number }[] = [];
  const lent = new Map<Session, number>();
  const waiters: Waiter[] = [];
  const channels = new Map<string, NodeJS.Timeout>();
  const notifiedMs = new Map<string, number>();
  let closed = false;

  const openLent = (): Session => {
    const session = makeSession(sessionOptions);
    lent.set(session, Date.now());
    return session;
  };

  const takeIdle = (): Session | undefined => {
    for (let entry = idle.pop(); entry !== undefined; entry = idle.pop()) {
      if (entry.session.alive()) {
        lent.set(entry.session, entry.bornAtMs);
        return entry.session;
      }
    }
    return undefined;
  };

  const acquire = (waitMs: number): Promise<Session> => {
    if (closed) {
      return Promise.reject(new PostgresConnectionError("POSTGRES_CONNECTION_LOST", "the pool is closed"));
    }
    const session = takeIdle() ?? (lent.size < limit ? openLent() : undefined);
    if (session !== undefined) {
      return Promise.resolve(session);
    }
    return new Promise((resolve, reject) => {
      const forget = (): void => {
        clearTimeout(timer);
        const index = waiters.indexOf(waiter);
        if (index >= 0) {
          waiters.splice(index, 1);
        }
      };
      const waiter: Waiter = {
        resolve(free) {
          forget();
          resolve(free);
        },
        reject(error) {
          forget();
          reject(error);
        },
      };
      const timer = setTimeout(
        () =>
          waiter.reject(
            new PostgresConnectionError("POSTGRES_DEADLINE", `no free connection to Postgres within ${waitMs} ms`),
          ),
        waitMs,
      );
      waiters.push(waiter);
    });
  };

  const release = (session: Session): void => {
    const bornAtMs = lent.get(session);
    lent.delete(session);
    if (bornAtMs !== undefined && session.alive() && !closed && Date.now() - bornAtMs < maxAgeMs) {
      idle.push({ session, bornAtMs });
    } else {
      session.destroy();
    }
    const next = waiters[0];
    if (next !== undefined) {
      next.resolve(takeIdle() ?? openLent());
    }
  };

  const lend: Pool["lend"] = async (waitMs, use) => {
    const session = await acquire(waitMs);
    try {
      return await use(session);
    } finally {
      release(session);
    }
  };

  const use: Pool["use"] = () => ({ busy: lent.size, idle: idle.length, waiting: waiters.length });
  const untrack = trackPool(options.applicationName, use);
  return {
    sql,
    lend,
    notifySoon(channel) {
      if (closed || channels.has(channel)) {
        return;
      }
      const notify = (): void => {
        channels.delete(channel);
        notifiedMs.set(channel, performance.now());
        sql.notify(channel, "").catch((error) => options.logger.debug({ err: error, channel }, "wake-up not sent"));
      };
      const waitMs = (notifiedMs.get(channel) ?? Number.NEGATIVE_INFINITY) + notifySpacingMs - performance.now();
      if (waitMs > 0) channels.set(channel, setTimeout(notify, waitMs).unref());
      else notify();
    },
    listen: (channel, listener) => listen(sessionOptions, channel, listener),
    openSession: () => makeSession(sessionOptions),
    use,
    async check(timeoutMs = 2000) {
      await lend(timeoutMs, async (session) => {
        const timer = setTimeout(() => session.destroy(), timeoutMs);
        try {
          await session.sql`select 1`;
        } catch (error) {
          if (isPostgresOutage(error)) {
            session.destroy();
          }
          throw error;
        } finally {
          clearTimeout(timer);
        }
      });
    },
    async close() {
      closed = true;
      untrack();
      for (const timer of channels.values()) {
        clearTimeout(timer);
      }
      for (const waiter of waiters.splice(0)) {
        waiter.reject(new PostgresConnectionError("POSTGRES_CONNECTION_LOST", "the pool is closed"));
      }
      const drained = Promise.all([
        ...idle.splice(0).map(({ session }) => session.close()),
        ...[...lent.keys()].map((session) => session.alive() && new Promise<void>((done) => session.onClose(done))),
      ]);
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((done) => {
        timer = setTimeout(done, 5000);
      });
      await Promise.race([drained, late]);
      clearTimeout(timer);
      for (const session of lent.keys()) {
        session.destroy();
      }
      await sql.end({ timeout: 5 });
    },
  };
}
