import type { Logger } from "../log/index.ts";
import { type HealthRegistry, makeHealth } from "./health.ts";

export type Closer = () => Promise<unknown> | unknown;

export type Lifecycle = {
  /** Registers what releases a resource; closers run last-in first-out, each bounded in time. */
  defer(name: string, closer: Closer): void;
  /** Aborted when shutdown begins: what loops or accepts work must stop taking more. */
  readonly signal: AbortSignal;
  readonly health: HealthRegistry;
  /** Runs every closer once, within the grace period; later calls get the same promise. False when one failed or hung. */
  shutdown(reason: string): Promise<boolean>;
};

export type LifecycleOptions = { logger: Logger; graceMs: number };

/**
 * Owns what a process has opened. The grace period is shared: a closer may take what is left of it, less a small
 * reserve for each of those behind it, so that one that hangs cannot keep the others from running.
 */
export function makeLifecycle({ logger, graceMs }: LifecycleOptions): Lifecycle {
  const closers: { name: string; closer: Closer }[] = [];
  const controller = new AbortController();
  const health = makeHealth({ isStopping: () => controller.signal.aborted });
  let stopping: Promise<boolean> | undefined;

  async function closeAll(reason: string): Promise<boolean> {
    const startedMs = performance.now();
    const deadlineMs = startedMs + graceMs;
    logger.info({ reason, closers: closers.length }, "shutting down");
    controller.abort(new Error(`shutting down: ${reason}`));
    let clean = true;
    for (let entry = closers.pop(); entry !== undefined; entry = closers.pop()) {
      const leftMs = deadlineMs - performance.now();
      const reserveMs = Math.min(closers.length * 200, leftMs / 2);
      const outcome = await closeWithin(entry.closer, Math.max(leftMs - reserveMs, minCloseMs));
      if (outcome.kind === "closed") continue;
      clean = false;
      if (outcome.kind === "failed") logger.error({ err: outcome.error, closer: entry.name }, "a closer failed");
      else logger.error({ closer: entry.name, waitedMs: outcome.waitedMs }, "a closer hung and was left behind");
    }
    logger.info({ reason, durationMs: Math.round(performance.now() - startedMs), clean }, "shut down");
    return clean;
  }

  return {
    defer(name, closer) {
      closers.push({ name, closer });
    },
    signal: controller.signal,
    health,
    shutdown(reason) {
      stopping ??= closeAll(reason);
      return stopping;
    },
  };
}

const minCloseMs = 50;

type CloseOutcome = { kind: "closed" } | { kind: "failed"; error: unknown } | { kind: "hung"; waitedMs: number };

async function closeWithin(closer: Closer, limitMs: number): Promise<CloseOutcome> {
  const { promise: hung, resolve } = Promise.withResolvers<CloseOutcome>();
  const timer = setTimeout(() => resolve({ kind: "hung", waitedMs: Math.round(limitMs) }), limitMs);
  const closing = (async (): Promise<CloseOutcome> => {
    try {
      await closer();
      return { kind: "closed" };
    } catch (error) {
      return { kind: "failed", error };
    }
  })();
  try {
    return await Promise.race([closing, hung]);
  } finally {
    clearTimeout(timer);
  }
}
