import { mkdirSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { findJson, writeFileAtomic } from "./atomic-file.ts";
import { findStartTime, isAlive } from "./process-identity.ts";

/** Files of one engine on this machine. */
export interface StateDir {
  readonly path: string;
  readonly lockFile: string;
  readonly childrenFile: string;
  readonly statusFile: string;
  readonly settingsFile: string;
  readonly signingKeysFile: string;
  readonly adminKeyFile: string;
  readonly sourceTokensFile: string;
  readonly secretsDir: string;
  /** Where the servers are, with their passwords, for tools. */
  readonly connectionsFile: string;
  /** Receipts of orders, where there is no S3 server. */
  readonly receiptsDir: string;
  readonly logFile: string;
  readonly compileCacheDir: string;
  readyFile(name: string): string;
  /** The variables of a service's commands, for a person who runs them beside the engine. */
  commandEnvFile(service: string): string;
  /** What a simulated payment processor has recorded. */
  processorLedgerFile(name: string): string;
}

export function openStateDir(path: string): StateDir {
  mkdirSync(join(path, "ready"), { recursive: true });
  mkdirSync(join(path, "secrets"), { recursive: true, mode: 0o700 });
  return {
    path,
    lockFile: join(path, "operator.json"),
    childrenFile: join(path, "children.json"),
    statusFile: join(path, "status.json"),
    settingsFile: join(path, "settings.json"),
    signingKeysFile: join(path, "secrets", "signing-keys.json"),
    adminKeyFile: join(path, "secrets", "admin-key"),
    sourceTokensFile: join(path, "secrets", "source-tokens.json"),
    secretsDir: join(path, "secrets"),
    connectionsFile: join(path, "secrets", "connections.json"),
    receiptsDir: join(path, "receipts"),
    logFile: join(path, "engine.log"),
    compileCacheDir: join(path, "compile-cache"),
    commandEnvFile: (service) => join(path, "secrets", `${service}-env.json`),
    processorLedgerFile: (name) => join(path, "processors", `${name}.ndjson`),
    readyFile: (name) => join(path, "ready", `${name}.json`),
  };
}

/** Bytes that an unprivileged process can still write there. */
export function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

const lockSchema = z.object({
  pid: z.int().positive(),
  startTime: z.string(),
  engine: z.string(),
  address: z.string(),
  resourceFile: z.string(),
  infraDir: z.string().optional(),
  startedAt: z.string(),
});

/** Who runs this engine. */
export type OperatorLock = z.infer<typeof lockSchema>;

/** The operator that runs; undefined when there is none, also when one was killed and left its file. */
export function findRunningOperator(dir: StateDir): OperatorLock | undefined {
  const lock = findLastOperator(dir);
  return lock !== undefined && isAlive(lock) ? lock : undefined;
}

/** The operator that ran here last, whether or not it still does. Gone after an orderly stop. */
export function findLastOperator(dir: StateDir): OperatorLock | undefined {
  const parsed = lockSchema.safeParse(findJson(dir.lockFile));
  return parsed.success ? parsed.data : undefined;
}

/**
 * Notes that this process is the operator, unless another one is: then that one is returned. Also forgets the last
 * status, which is another process's. Two starts at once take turns by SQLite's lock on a file: it is the kernel's, so a
 * killed process leaves none behind.
 */
export function takeLock(
  dir: StateDir,
  facts: Omit<OperatorLock, "pid" | "startTime" | "startedAt">,
): OperatorLock | undefined {
  const turn = new DatabaseSync(join(dir.path, "operator.lock"), { timeout: 10_000 });
  try {
    turn.exec("begin exclusive");
    const running = findRunningOperator(dir);
    if (running !== undefined && running.pid !== process.pid) return running;
    const startTime = findStartTime(process.pid) ?? "";
    const lock: OperatorLock = { ...facts, pid: process.pid, startTime, startedAt: new Date().toISOString() };
    rmSync(dir.statusFile, { force: true });
    writeFileAtomic(dir.lockFile, JSON.stringify(lock));
    return undefined;
  } finally {
    turn.close();
  }
}

export function releaseLock(dir: StateDir): void {
  rmSync(dir.lockFile, { force: true });
}
