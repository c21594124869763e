import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { waitUntil } from "./progress.ts";
import type { Log } from "./types.ts";

/**
 * Runs `work` while nobody else on this machine holds the lock. SQLite's lock on a file is the kernel's: it goes with
 * the process, so there is no stale one to repair.
 */
export async function withLock<T>(path: string, what: string, log: Log, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(path), { recursive: true });
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    await waitUntil(async () => tryLock(database), { what, timeoutMs: 900_000, log });
    return await work();
  } finally {
    database.close();
  }
}

function tryLock(database: DatabaseSync): boolean {
  try {
    database.exec("begin exclusive");
    return true;
  } catch (error) {
    // SQLITE_BUSY
    if (error instanceof Error && "errcode" in error && error.errcode === 5) return false;
    throw error;
  }
}
