import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "@pricing-engine/chassis/log";
import { backoffMs } from "./backoff.ts";

export interface SessionEnd {
  kind: "crashed" | "stalled" | "stopped";
  error?: unknown;
}

/** One life of a run loop: it ends by a crash, by silence, or because it was closed. */
export interface Session {
  ended: Promise<SessionEnd>;
  close(): Promise<void>;
}

export interface SupervisorOptions<S extends Session> {
  name: string;
  start(): S;
  /** Called after each life, before the next one. */
  onEnded(): void;
  /** Errors that waiting heals: such crashes are repeated for ever. */
  isOutage(error: unknown): boolean;
  /** Other crashes in a row, without a sign of life between, until it gives up. Default 8. */
  maxCrashes?: number;
  backoff: { baseMs: number; maxMs: number };
  random(): number;
  logger: Logger;
}

export interface Supervisor<S extends Session> {
  /** The session that lives now. */
  current(): S | undefined;
  /** The session works: earlier crashes are forgiven. */
  alive(): void;
  restarts(): number;
  /** Why the session before ended, until the one now shows a sign of life. */
  lastError(): { lastError?: string };
  stop(): Promise<void>;
  failed: Promise<never>;
}

/**
 * Keeps one session alive: a crash or silence is followed by a new session after a backoff, and a loop that only ever
 * crashes rejects `failed`. It never sits silent.
 */
export function supervise<S extends Session>(options: SupervisorOptions<S>): Supervisor<S> {
  const { name, start, onEnded, isOutage, maxCrashes = 8, backoff, random, logger } = options;
  const failed = Promise.withResolvers<never>();
  // Whoever does not look at `failed` must not be ended by it.
  failed.promise.catch(() => undefined);
  const stopping = new AbortController();
  let session: S | undefined;
  let crashes = 0;
  let faults = 0;
  let restarts = 0;
  let lastError: string | undefined;

  const run = async () => {
    while (!stopping.signal.aborted) {
      session = start();
      const end = await session.ended;
      const last = session;
      session = undefined;
      onEnded();
      if (end.kind === "stopped") return;
      crashes += 1;
      lastError = end.error instanceof Error ? end.error.message : end.kind;
      if (end.kind === "crashed" && !isOutage(end.error)) faults += 1;
      logger.warn(
        { err: end.error, consumer: name, kind: end.kind, crashes },
        "consumer loop ended, starting it again",
      );
      await last.close();
      if (faults >= maxCrashes) throw end.error;
      restarts += 1;
      await delay(backoffMs(crashes, backoff, random()), undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };
  const done = run().catch((error: unknown) => failed.reject(error));

  return {
    current: () => session,
    alive() {
      crashes = 0;
      faults = 0;
      lastError = undefined;
    },
    lastError: () => (lastError === undefined ? {} : { lastError }),
    restarts: () => restarts,
    async stop() {
      stopping.abort();
      await session?.close();
      await done;
    },
    failed: failed.promise,
  };
}
