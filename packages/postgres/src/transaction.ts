import { AppError } from "@pricing-engine/chassis/errors";
import { context, SpanKind, trace, withSpan } from "@pricing-engine/chassis/telemetry";
import { ExponentialBackoff, handleWhen, retry } from "cockatiel";
import { findSqlState, isConflict, isPostgresOutage, PostgresConnectionError } from "./errors.ts";
import type { Pool } from "./pool.ts";
import type { Session, Sql } from "./session.ts";

export type Isolation = "read committed" | "repeatable read" | "serializable";

/** An open transaction, on its one connection. */
export interface Tx {
  sql: Sql;
  /** Runs once the commit is known, for what may be lost (a wake-up); never when rolled back. Must not throw. */
  afterCommit(hook: () => void): void;
  /** NOTIFY on the channel soon after the commit, without taking part in it. May be lost. */
  notifyAfterCommit(channel: string): void;
}

export interface TransactionOptions<Read = undefined> {
  /** From the wait for a connection to the answer of COMMIT, for one run. */
  deadlineMs: number;
  /**
   * How long the process may say nothing inside of it. Then the server ends it, and frees its locks: those of a process that was paused,
   * for which all others would wait. Default: the deadline.
   */
  silenceMs?: number;
  /** Default `read committed`. */
  isolation?: Isolation;
  /** Runs in all when they end in a serialization failure or a deadlock. Default 5. */
  attempts?: number;
  /**
   * The first statement, which goes with BEGIN in one trip; `fn` gets what it read. It may lock and must change nothing: should BEGIN alone
   * fail (cancelled by the server, say), it has run on its own.
   */
  read?: (tx: Tx) => Promise<Read>;
}

const openings: Record<Isolation, string> = {
  "read committed": "begin isolation level read committed",
  "repeatable read": "begin isolation level repeatable read",
  serializable: "begin isolation level serializable",
};

/**
 * Destroys the session when the time is over, which makes whatever it waits for reject. Returns what to throw then.
 * The race is needed as well: `work` may be waiting for something that is not Postgres.
 */
async function withDeadline<T>(session: Session, deadlineMs: number, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let late: PostgresConnectionError | undefined;
  const expiry = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      late = new PostgresConnectionError("POSTGRES_DEADLINE", `Postgres did not finish within ${deadlineMs} ms`);
      reject(late);
      session.destroy();
    }, deadlineMs);
  });
  try {
    return await Promise.race([work(), expiry]);
  } catch (error) {
    throw late ?? error;
  } finally {
    clearTimeout(timer);
  }
}

function asFault(error: unknown): unknown {
  return isPostgresOutage(error) && !(error instanceof AppError)
    ? new AppError("postgres_unavailable", { cause: error })
    : error;
}

/** A COMMIT that was answered by an error of the statement kind did not commit; one without an answer may have. */
function commitFailed(error: unknown): unknown {
  const definite = findSqlState(error) !== undefined && !isPostgresOutage(error);
  return definite ? error : new AppError("commit_unknown", { cause: error });
}

async function runOnce<T, Read>(
  pool: Pool,
  session: Session,
  fn: (tx: Tx, read: Read) => Promise<T>,
  options: TransactionOptions<Read>,
): Promise<T> {
  const hooks: (() => void)[] = [];
  const tx: Tx = {
    sql: session.sql,
    afterCommit: (hook) => hooks.push(hook),
    notifyAfterCommit: (channel) => hooks.push(() => pool.notifySoon(channel)),
  };
  let committing = false;
  const work = async (): Promise<T> => {
    // One round trip. A process that is paused with an open transaction loses it, and its locks, on the server's clock.
    const deadlineMs = Math.ceil(options.deadlineMs);
    const silenceMs = Math.ceil(options.silenceMs ?? deadlineMs);
    const opening = session.sql
      .unsafe(
        `${openings[options.isolation ?? "read committed"]}; set local idle_in_transaction_session_timeout = ${silenceMs}; set local statement_timeout = ${deadlineMs}`,
      )
      .execute();
    const [, read] = await Promise.all([opening, options.read?.(tx)]);
    const result = await fn(tx, read as Read);
    committing = true;
    const { command } = await session.sql.unsafe("commit");
    if (command !== "COMMIT") {
      // Postgres answers COMMIT of an aborted transaction with ROLLBACK: a failed statement was swallowed.
      committing = false;
      throw new AppError("internal", { detail: "a statement failed inside the transaction and was ignored" });
    }
    return result;
  };
  try {
    const result = await withDeadline(session, options.deadlineMs, work);
    for (const hook of hooks) {
      hook();
    }
    return result;
  } catch (error) {
    if (committing) {
      session.destroy();
      throw commitFailed(error);
    }
    await rollBack(session);
    throw error;
  }
}

/** A connection whose ROLLBACK does not come back at once is not worth keeping. */
async function rollBack(session: Session): Promise<void> {
  if (!session.alive()) {
    session.destroy();
    return;
  }
  try {
    await withDeadline(session, 1000, () => session.sql.unsafe("rollback"));
  } catch {
    session.destroy();
  }
}

/** A span under the one that is active; work that nobody traces (timers, relays) begins no trace of its own. */
function traced<T>(work: () => Promise<T>): Promise<T> {
  if (trace.getSpan(context.active()) === undefined) {
    return work();
  }
  const attributes = { "db.system.name": "postgresql" };
  return withSpan("postgres transaction", { kind: SpanKind.CLIENT, attributes }, work);
}

/**
 * Runs `fn` in a transaction and commits. Serialization failures and deadlocks run it again (so `fn` must have no effects
 * outside), with jitter and a bound.
 *
 * @throws AppError `commit_unknown` when COMMIT was sent and not answered: the outcome must be looked up, or the
 *   work be idempotent. `postgres_unavailable` when nothing was committed because Postgres, or a connection in time, was
 *   not to be had. Everything else as thrown by `fn` or by Postgres.
 */
export async function withTransaction<T, Read = undefined>(
  pool: Pool,
  fn: (tx: Tx, read: Read) => Promise<T>,
  options: TransactionOptions<Read>,
): Promise<T> {
  const conflicts = retry(handleWhen(isConflict), {
    maxAttempts: (options.attempts ?? 5) - 1,
    backoff: new ExponentialBackoff({ initialDelay: 5, maxDelay: 250 }),
  });
  try {
    return await traced(() =>
      conflicts.execute(() => pool.lend(options.deadlineMs, (session) => runOnce(pool, session, fn, options))),
    );
  } catch (error) {
    throw asFault(error);
  }
}

/**
 * Runs single statements on one connection, without a transaction. After `deadlineMs` the connection is destroyed.
 *
 * @throws AppError `postgres_unavailable` on an outage or when time is over; a write may then have happened.
 */
export async function query<T>(pool: Pool, deadlineMs: number, fn: (on: { sql: Sql }) => Promise<T>): Promise<T> {
  try {
    return await pool.lend(deadlineMs, (session) => withDeadline(session, deadlineMs, () => fn(session)));
  } catch (error) {
    throw asFault(error);
  }
}

/** Less than the lease of the operator that leads (15 s): whoever takes over from one that was paused finds its locks free. */
const silenceMs = 10_000;

/**
 * A connection of its own for session locks and DDL that refuses transactions, destroyed afterwards: no setting and no lock
 * survives it, whatever happened. Also not of a process that is paused: the server ends a session that asks nothing for 10 s.
 */
export async function withSession<T>(pool: Pool, deadlineMs: number, fn: (sql: Sql) => Promise<T>): Promise<T> {
  const session = pool.openSession();
  try {
    return await withDeadline(session, deadlineMs, async () => {
      await session.sql.unsafe(`set idle_session_timeout = ${silenceMs}`);
      return await fn(session.sql);
    });
  } catch (error) {
    throw asFault(error);
  } finally {
    session.destroy();
  }
}
