import { AppError } from "@pricing-engine/chassis/errors";
import type { Logger } from "@pricing-engine/chassis/log";
import { ExponentialBackoff, type IBackoff } from "cockatiel";
import { isPostgresOutage } from "../errors.ts";
import type { Pool } from "../pool.ts";
import { bucketCount, outboxChannel } from "./ddl.ts";
import { type Delivery, deliver, type Sink } from "./deliver.ts";
import type { OutboxPort } from "./port.ts";
import { makePostgresPort } from "./postgres-port.ts";
import { type OutboxStats, readOutboxStats } from "./stats.ts";

export interface OutboxRelayOptions {
  /** Lends one connection per sink while that sink works, and one more to listen. */
  pool: Pool;
  schema: string;
  sinks: Record<string, Sink>;
  logger: Pick<Logger, "warn" | "info" | "debug">;
  /** Whether a sink's error says "not now" rather than "not this row". Default: an AppError's `retryable`, or a socket error. */
  isOutage?: (error: unknown) => boolean;
  /** Rows handed to a sink at once. Default 1000. */
  batchSize?: number;
  /** How long a row may lie when its wake-up was lost. Default 500 ms. */
  pollMs?: number;
  /**
   * Least time from one claim to the next, so that it carries the rows of many commits, of all buckets: a claim is five trips to Postgres
   * and a request to the sink, however few rows there are. One relay then does the work, and others stand by. Default 0: each claim takes
   * half of the buckets, so that several relays share a backlog.
   */
  gatherMs?: number;
  /** After this a sink counts as away. Default 10 s. */
  sinkTimeoutMs?: number;
  /** Faults of its own after which a row is parked, so that its aggregate goes on. Default 8. */
  maxFaults?: number;
  /** Wait after a row's first fault; doubles. Default 250 ms. */
  faultBackoffMs?: number;
  /** Longest wait while a sink is away. Default 5 s. */
  maxOutageBackoffMs?: number;
  /** For tests: the store. Default Postgres. */
  port?: OutboxPort;
}

export type SinkHealth = { state: "ok" } | { state: "paused"; error: string };

export interface OutboxRelay {
  start(): void;
  /** Finishes the batch in hand. */
  stop(): Promise<void>;
  health(): { ok: boolean; sinks: Record<string, SinkHealth> };
  /** Depth, parked rows and age of the oldest per sink. */
  stats(): Promise<OutboxStats>;
  /** Age of the oldest row that no sink has acknowledged and that is not parked; 0 when there is none. */
  oldestAgeMs(): Promise<number>;
}

function isAway(error: unknown): boolean {
  // `internal` may be the row's doing: it must not hold up the others for ever.
  const flagged = error instanceof AppError && error.retryable && error.code !== "internal";
  return flagged || isPostgresOutage(error);
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Carries rows of the outbox to their sinks: at least once, in order per aggregate, any number of relays at a time. Each sink has
 * a loop of its own, so one that is away (or slow) holds up no other.
 */
export function makeOutboxRelay(options: OutboxRelayOptions): OutboxRelay {
  const { pool, schema, logger } = options;
  const batchSize = options.batchSize ?? 1000;
  const pollMs = options.pollMs ?? 500;
  const gatherMs = options.gatherMs ?? 0;
  const standbyMs = Math.min(pollMs, 500);
  const lateMs = standbyMs / 2;
  const sinkTimeoutMs = options.sinkTimeoutMs ?? 10_000;
  const isOutage = options.isOutage ?? isAway;
  const port =
    options.port ??
    makePostgresPort({
      pool,
      schema,
      // Room for the statements around the sink's own time.
      claimTimeoutMs: sinkTimeoutMs + 5000,
      maxFaults: options.maxFaults ?? 8,
      faultBackoffMs: options.faultBackoffMs ?? 250,
      maxBuckets: gatherMs > 0 ? bucketCount : bucketCount / 2,
    });
  const healths = new Map<string, SinkHealth>();
  const wakers = new Set<() => void>();
  const stopping = new AbortController();
  let loops: Promise<unknown> | undefined;
  let listener: { close(): Promise<void> } | undefined;

  const step = async (name: string, sink: Sink): Promise<{ more: boolean; held: boolean; outage?: unknown }> => {
    let delivery: Delivery = { done: [], faults: [] };
    const claim = await port.claim(name, batchSize, async (rows) => {
      delivery = await deliverInTime(rows, sink, isOutage, sinkTimeoutMs);
      return delivery;
    });
    for (const fault of delivery.faults) {
      logger.warn({ schema, sink: name, id: String(fault.id), error: fault.message }, "outbox row refused by its sink");
    }
    const { more = false, held = false } = claim ?? {};
    return { more, held, ...("outage" in delivery && { outage: delivery.outage }) };
  };

  const loop = async (name: string, sink: Sink): Promise<void> => {
    const fresh = (): IBackoff<unknown> =>
      new ExponentialBackoff({ initialDelay: 50, maxDelay: options.maxOutageBackoffMs ?? 5000 }).next();
    let backoff = fresh();
    const pause = async (error: unknown): Promise<void> => {
      if (healths.get(name)?.state !== "paused") {
        logger.warn({ schema, sink: name, err: error }, "outbox sink paused");
      }
      healths.set(name, { state: "paused", error: message(error) });
      await sleep(backoff.duration, stopping.signal);
      backoff = backoff.next(undefined);
    };
    // A wake-up that comes while a batch is in hand must not be lost, so it is remembered.
    let woken = false;
    let wakeNow = (): void => undefined;
    const waker = (): void => {
      woken = true;
      wakeNow();
    };
    wakers.add(waker);
    while (!stopping.signal.aborted) {
      woken = false;
      try {
        const startedMs = performance.now();
        const { more, held, outage } = await step(name, sink);
        if (outage !== undefined) {
          await pause(outage);
          continue;
        }
        backoff = fresh();
        healths.set(name, { state: "ok" });
        if (held) {
          // Whoever holds it all looks again when it is done: to be woken with it would be for nothing, until it is late.
          do await sleep(standbyMs, stopping.signal);
          while (!stopping.signal.aborted && !(await port.isLate(name, lateMs)));
          continue;
        }
        if (!more && !woken) {
          await sleep(pollMs, stopping.signal, (end) => {
            wakeNow = end;
          });
        }
        const restMs = startedMs + gatherMs - performance.now();
        if (restMs > 0) await sleep(restMs, stopping.signal);
      } catch (error) {
        await pause(error);
      }
    }
    wakers.delete(waker);
  };

  return {
    start() {
      if (loops !== undefined) {
        throw new Error("the relay was started before");
      }
      loops = Promise.all(Object.entries(options.sinks).map(([name, sink]) => loop(name, sink)));
      listener = pool.listen(outboxChannel(schema), () => {
        for (const waker of wakers) {
          waker();
        }
      });
    },
    async stop() {
      stopping.abort();
      await Promise.all([loops, listener?.close()]);
    },
    health() {
      const sinks = Object.fromEntries(healths);
      return { ok: Object.values(sinks).every(({ state }) => state === "ok"), sinks };
    },
    stats: () => readOutboxStats(pool, schema),
    async oldestAgeMs() {
      const stats = await readOutboxStats(pool, schema);
      return Math.max(0, ...Object.values(stats).map(({ oldestAgeMs }) => oldestAgeMs));
    },
  };
}

/** `deliver`, in which a sink that takes longer than the time left counts as away. */
async function deliverInTime(
  rows: Parameters<Sink>[0],
  sink: Sink,
  isOutage: (error: unknown) => boolean,
  timeoutMs: number,
): Promise<Delivery> {
  const late = AbortSignal.timeout(timeoutMs);
  let expire = (): void => undefined;
  const expiry = new Promise<never>((_, reject) => {
    expire = () => reject(new Error(`the sink did not answer within ${timeoutMs} ms`));
    late.addEventListener("abort", expire);
  });
  expiry.catch(() => undefined);
  try {
    return await deliver(
      rows,
      (part) => Promise.race([sink(part, { signal: late }), expiry]),
      (error) => late.aborted || isOutage(error),
    );
  } finally {
    late.removeEventListener("abort", expire);
  }
}

/** Resolves after `delayMs`, or at once when the signal aborts or `end`, which `onStart` is given, is called. */
function sleep(delayMs: number, signal: AbortSignal, onStart?: (end: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, delayMs);
    signal.addEventListener("abort", finish);
    if (signal.aborted) {
      finish();
    }
    onStart?.(finish);
  });
}
