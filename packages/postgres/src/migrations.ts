import { createHash } from "node:crypto";
import { AppError } from "@pricing-engine/chassis/errors";
import type { Logger } from "@pricing-engine/chassis/log";
import { ExponentialBackoff, handleWhen, retry } from "cockatiel";
import { type MigrationMeta, readMigrationFiles } from "drizzle-orm/migrator";
import { isLockTimeout } from "./errors.ts";
import { makeSession, type Session } from "./session.ts";

export interface MigrationOptions {
  url: string;
  /** Has `meta/_journal.json` and the SQL files. */
  folder: string;
  /** The service's schema; drizzle's table of applied migrations lies in it too. */
  schema: string;
  logger: Pick<Logger, "info" | "warn">;
  /** How long to wait for another process that migrates. Default 60 s. */
  waitMs?: number;
  /** How long a statement waits for a lock before the whole run is rolled back and tried again. Default 5 s. */
  lockTimeoutMs?: number;
}

const migrationsTable = "__drizzle_migrations";

/**
 * Brings the schema up to the folder's journal. Two at once: one works, the other waits and finds nothing to do. All new
 * migrations are applied in one transaction, or none.
 *
 * @throws AppError `migrations_refused` when the journal lacks, changed or reordered something that was applied: drizzle looks at
 *   the newest time stamp alone, and would skip or ignore it in silence. `migrations_locked` when another process did not finish
 *   in time, or a lock was not to be had in 5 tries.
 */
export async function runMigrations(options: MigrationOptions): Promise<{ applied: number }> {
  const files = readMigrationFiles({ migrationsFolder: options.folder });
  const session = makeSession({
    url: options.url,
    applicationName: `${options.schema}-migrations`,
    connectTimeoutMs: 5000,
    statementTimeoutMs: 0,
  });
  try {
    await lock(session, options);
    const before = await readApplied(session, options.schema);
    const problems = compareJournal(files, before);
    if (problems.length > 0) {
      throw new AppError("migrations_refused", { detail: problems.join("; "), context: { schema: options.schema } });
    }
    const applied = files.length - before.length;
    if (applied > 0) await applyNew(session, options);
    options.logger.info({ schema: options.schema, applied, total: files.length }, "migrations up to date");
    return { applied };
  } catch (error) {
    if (isLockTimeout(error)) {
      throw new AppError("migrations_locked", { cause: error, context: { schema: options.schema } });
    }
    throw error;
  } finally {
    // Not a polite close: what was started must not outlive the lock.
    session.destroy();
  }
}

async function applyNew(session: Session, options: MigrationOptions): Promise<void> {
  // Only here: to load it costs half a second and, in this process for good, 230 MB.
  const [{ drizzle }, { migrate }] = await Promise.all([
    import("drizzle-orm/postgres-js"),
    import("drizzle-orm/postgres-js/migrator"),
  ]);
  const db = drizzle(session.sql);
  await session.sql.unsafe(`set lock_timeout = ${options.lockTimeoutMs ?? 5000}`);
  const locked = retry(handleWhen(isLockTimeout), {
    maxAttempts: 4,
    backoff: new ExponentialBackoff({ initialDelay: 200, maxDelay: 3000 }),
  });
  await locked.execute(() =>
    migrate(db, { migrationsFolder: options.folder, migrationsSchema: options.schema, migrationsTable }),
  );
}

async function lock(session: Session, options: MigrationOptions): Promise<void> {
  await session.sql.unsafe(`set lock_timeout = ${options.waitMs ?? 60_000}`);
  const key = createHash("sha256").update(`migrations.${options.schema}`).digest().readInt32BE(0);
  const [row] = await session.sql<{ free: boolean }[]>`select pg_try_advisory_lock(${key}) as free`;
  if (row?.free !== true) {
    options.logger.info({ schema: options.schema }, "waiting for another process that migrates");
    await session.sql`select pg_advisory_lock(${key})`;
  }
}

interface Applied {
  hash: string;
  createdAtMs: number;
}

async function readApplied(session: Session, schema: string): Promise<Applied[]> {
  const [found] = await session.sql<{ name: string | null }[]>`
    select to_regclass(${`"${schema}".${migrationsTable}`})::text as name`;
  if (found?.name == null) {
    return [];
  }
  const rows = await session.sql<{ hash: string; created_at: string }[]>`
    select hash, created_at::text from ${session.sql(schema)}.${session.sql(migrationsTable)} order by created_at, id`;
  return rows.map((row) => ({ hash: row.hash, createdAtMs: Number(row.created_at) }));
}

/** What is wrong with a journal in the light of what was applied. Pure. */
function compareJournal(
  files: readonly Pick<MigrationMeta, "hash" | "folderMillis">[],
  applied: readonly Applied[],
): string[] {
  const problems: string[] = [];
  for (const [index, file] of files.entries()) {
    const previous = files[index - 1];
    if (previous !== undefined && previous.folderMillis >= file.folderMillis) {
      problems.push(`entry ${index} of the journal is not later than the one before it`);
    }
  }
  for (const [index, row] of applied.entries()) {
    const file = files[index];
    if (file === undefined) {
      problems.push(`the database has ${applied.length} migrations, the journal only ${files.length}: it shrank`);
      break;
    }
    if (file.folderMillis !== row.createdAtMs) {
      problems.push(`migration ${index} was applied with another time stamp: the journal was reordered`);
    } else if (file.hash !== row.hash) {
      problems.push(`migration ${index} was edited after it had been applied`);
    }
  }
  return problems;
}
