import { rename, writeFile } from "node:fs/promises";
import { flushStandardOutput, type Logger, type LogLevel, makeLogger } from "../log/index.ts";
import { type Lifecycle, makeLifecycle } from "./make-lifecycle.ts";
import { releaseMemory, tuneCollector } from "./memory.ts";

export type ReadyInfo = { httpPort?: number; metricsPort?: number };

/** For a reader of the log to take the last lines, if there is one. */
const lastWordsMs = 500;

export type MainOptions = { env?: NodeJS.ProcessEnv };

/**
 * Runs a service: `main` opens everything (each resource defers its closer) and returns what it is bound to. SIGTERM or
 * SIGINT drains and exits 0; a second one exits 1 at once; a failed start, a crash or an unhandled rejection is logged,
 * shuts down what is open, and exits 1. `READY_FILE`, when set, is written whole once `main` has returned.
 */
export function runMain(
  name: string,
  main: (lifecycle: Lifecycle, logger: Logger) => Promise<ReadyInfo | undefined>,
  { env = process.env }: MainOptions = {},
): void {
  tuneCollector();
  const logger = makeLogger({ name, level: parseLevel(env.LOG_LEVEL) });
  const graceMs = parseGrace(env.SHUTDOWN_GRACE_MS);
  const lifecycle = makeLifecycle({ logger, graceMs });
  let exiting = false;

  async function exit(reason: string, code: number): Promise<void> {
    if (exiting) return;
    exiting = true;
    // The closers are bounded, but a blocked loop or a minimum per closer could still overrun the grace period.
    setTimeout(() => process.exit(1), graceMs + 500 + lastWordsMs).unref();
    await lifecycle.shutdown(reason);
    await flushStandardOutput(lastWordsMs);
    process.exit(code);
  }

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (exiting) {
        logger.fatal({ signal }, "second signal: exiting at once");
        process.exit(1);
      }
      void exit(signal, 0);
    });
  }
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(event, (error: unknown) => {
      logger.fatal({ err: error, event }, "crash");
      void exit(event, 1);
    });
  }

  void (async () => {
    try {
      const ready = await main(lifecycle, logger);
      if (exiting) return;
      releaseMemory();
      await writeReadyFile(env.READY_FILE, ready ?? {});
      logger.info({ ...ready, pid: process.pid }, "ready");
    } catch (error) {
      if (exiting) return;
      logger.fatal({ err: error }, error instanceof Error ? `cannot start: ${error.message}` : "cannot start");
      await exit("start failed", 1);
    }
  })();
}

/** Written beside and renamed, so that a reader never sees half of it. */
async function writeReadyFile(path: string | undefined, ready: ReadyInfo): Promise<void> {
  if (path === undefined || path === "") return;
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, JSON.stringify({ ...ready, pid: process.pid }));
  await rename(temporary, path);
}

// The two settings needed before the configuration is read; loadConfig reports what is wrong with them.
function parseLevel(text: string | undefined): LogLevel {
  const levels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
  return levels.find((level) => level === text) ?? "info";
}

function parseGrace(text: string | undefined): number {
  const graceMs = Number(text ?? "20000");
  return Number.isInteger(graceMs) && graceMs >= 0 ? graceMs : 20_000;
}
