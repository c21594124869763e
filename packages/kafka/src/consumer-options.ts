import type { Logger } from "@pricing-engine/chassis/log";
import type { Kafka } from "./kafka.ts";
import type { Producer } from "./producer.ts";

export interface RetryPolicy {
  /** Attempts before a message is dead; the first one counts. One that may change is asked for at each failure. Default 5. */
  attempts?: number | (() => number);
  /** Wait before the second attempt; doubles from there, with jitter. Default 1,000. */
  baseMs?: number;
  /** Default 60,000. */
  maxMs?: number;
}

/** What every consumer takes. */
export interface CommonOptions {
  kafka: Kafka;
  /** Writes the retries and dead letters; not closed by the consumer. */
  producer: Producer;
  /** Prefix of the engine (`<namespace>.<name>.`), which the names of retry and dead-letter topics leave out of the group. */
  groupId: string;
  topics: string[];
  retry?: RetryPolicy;
  /** Whether a handler's error says that something it needs is away: then the consumer waits, and no attempt is counted. */
  isOutage(error: unknown): boolean;
  logger: Logger;
  /** Default 10,000. */
  sessionTimeoutMs?: number;
  /** How long a rebalance waits for members. Default 15,000. */
  rebalanceTimeoutMs?: number;
  /** Default a tenth of the session time-out. */
  heartbeatIntervalMs?: number;
  /** How long a fetch waits for data; also how late a resume may be seen. Default 250. */
  maxWaitMs?: number;
  /**
   * Least time between two fetches that bring something: a record that comes later waits so long, and a steady trickle costs a fetch for
   * several records instead of one for each. Default 0.
   */
  fetchSpacingMs?: number;
  /** No fetch and no heartbeat for so long: the run loop is dead and gets replaced. Default session + rebalance time-out + 10 s. */
  watchdogMs?: number;
  /** How often finished work is committed. Default 200. */
  commitIntervalMs?: number;
  /** Unfinished messages of a partition at which fetching it stops. Default 500. */
  maxBuffered?: number;
  /** Whether a line of the log tells of each message that was handled. Default true; false for whoever tells more of each itself. */
  logHandled?: boolean;
  /** How long `stop` waits for what is in hand. Default 10,000. */
  stopTimeoutMs?: number;
  /** Waits between probes of an outage. Default 100 … 5,000. */
  outageBackoff?: { baseMs: number; maxMs: number };
}

export interface ConsumerHealth {
  /** In the group and fetching, or waiting out an outage of something else. */
  ready: boolean;
  state: "starting" | "running" | "paused" | "outage" | "restarting" | "stopped" | "failed";
  /** Why it is not simply running. */
  reason?: string;
  assigned: { topic: string; partition: number }[];
  inHand: number;
  restarts: number;
}

export interface Consumer {
  /** Nothing new is started until `resume`; membership and heartbeats go on. */
  pause(): void;
  resume(): void;
  /** Stops intake, finishes what is in hand (bounded), commits, leaves the group. */
  stop(): Promise<void>;
  health(): ConsumerHealth;
  /** Rejects when the run loop cannot be kept alive: the process should exit. Never resolves. */
  failed: Promise<never>;
}

export type Settings = Required<
  Pick<
    CommonOptions,
    | "sessionTimeoutMs"
    | "rebalanceTimeoutMs"
    | "heartbeatIntervalMs"
    | "maxWaitMs"
    | "fetchSpacingMs"
    | "watchdogMs"
    | "commitIntervalMs"
    | "maxBuffered"
    | "stopTimeoutMs"
    | "outageBackoff"
  >
> & { retry: Required<RetryPolicy> };

/** How many there are now. */
export function attemptsOf({ attempts }: Required<RetryPolicy>): number {
  return typeof attempts === "number" ? attempts : attempts();
}

/** Fills in the defaults. Throws RangeError when two of the settings contradict each other. */
export function resolveSettings(options: CommonOptions): Settings {
  const sessionTimeoutMs = options.sessionTimeoutMs ?? 10_000;
  const rebalanceTimeoutMs = options.rebalanceTimeoutMs ?? 15_000;
  const heartbeatIntervalMs = options.heartbeatIntervalMs ?? Math.round(sessionTimeoutMs / 10);
  const maxWaitMs = options.maxWaitMs ?? Math.min(250, heartbeatIntervalMs);
  const watchdogMs = options.watchdogMs ?? sessionTimeoutMs + rebalanceTimeoutMs + 10_000;
  const retry = { attempts: 5, baseMs: 1_000, maxMs: 60_000, ...options.retry };
  const attempts = attemptsOf(retry);
  const outageBackoff = options.outageBackoff ?? { baseMs: 100, maxMs: 5_000 };
  const maxBuffered = options.maxBuffered ?? 500;
  const relations: [boolean, string][] = [
    [options.topics.length > 0, "topics must not be empty"],
    [heartbeatIntervalMs * 3 <= sessionTimeoutMs, "three heartbeats must fit into sessionTimeoutMs"],
    [maxWaitMs <= sessionTimeoutMs / 3, "maxWaitMs must be at most a third of sessionTimeoutMs"],
    [watchdogMs > maxWaitMs * 2, "watchdogMs must be more than twice maxWaitMs"],
    [Number.isInteger(attempts) && attempts >= 1, "retry.attempts must be an integer ≥ 1"],
    [retry.baseMs <= retry.maxMs, "retry.baseMs must not exceed retry.maxMs"],
    [outageBackoff.baseMs <= outageBackoff.maxMs, "outageBackoff.baseMs must not exceed outageBackoff.maxMs"],
    [
      (options.fetchSpacingMs ?? 0) <= heartbeatIntervalMs / 2,
      "fetchSpacingMs must be at most half of heartbeatIntervalMs",
    ],
    [maxBuffered >= 1, "maxBuffered must be ≥ 1"],
  ];
  const broken = relations.filter(([holds]) => !holds).map(([, text]) => text);
  if (broken.length > 0) throw new RangeError(`consumer ${options.groupId}: ${broken.join("; ")}`);
  return {
    sessionTimeoutMs,
    rebalanceTimeoutMs,
    heartbeatIntervalMs,
    maxWaitMs,
    fetchSpacingMs: options.fetchSpacingMs ?? 0,
    watchdogMs,
    commitIntervalMs: options.commitIntervalMs ?? 200,
    maxBuffered,
    stopTimeoutMs: options.stopTimeoutMs ?? 10_000,
    outageBackoff,
    retry,
  };
}
