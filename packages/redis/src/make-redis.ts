import { AppError } from "@pricing-engine/chassis/errors";
import type { Logger } from "@pricing-engine/chassis/log";
import { gauge } from "@pricing-engine/chassis/metrics";
import { BrokenCircuitError, ConsecutiveBreaker, circuitBreaker, handleWhen } from "cockatiel";
import { Redis } from "ioredis";

export type RedisOptions = {
  url: string;
  logger: Logger;
  /** Milliseconds until a command counts as failed. */
  commandTimeoutMs?: number;
  /** Shown by CLIENT LIST. */
  name?: string;
  /** Of the breaker in the metrics, where a process has several. */
  breakerName?: string;
};

/**
 * A connection that never resends a command nor queues one while offline, behind a breaker: after a few failures calls
 * fail at once, and one probe at a time finds out whether Redis is back.
 */
export type GuardedRedis = {
  /** The raw connection: for scripts to define and for subscribers to duplicate. Calls go through guarded. */
  readonly client: Redis;
  /** @throws AppError redis_unavailable when Redis is down, hanging or the breaker is open; other errors as they are. */
  guarded<Result>(fn: (client: Redis) => Promise<Result>): Promise<Result>;
  /** Called after each time that the connection was lost and is ready again; returns what takes it off. */
  onReconnect(listener: () => void): () => void;
  isAvailable(): boolean;
  /** Another connection of the same kind, e.g. for subscriptions; closed with this one. */
  duplicate(): Redis;
  close(): Promise<void>;
};

const failuresToOpen = 3;
const probeEveryMs = 500;
/** On a connection that seems well. Long enough for a Redis that is only busy: all that a process knows of it goes with the connection. */
const hangingMs = 10_000;

export function makeRedis({
  url,
  logger,
  commandTimeoutMs = 250,
  name = "pricing-engine",
  breakerName = "redis",
}: RedisOptions): GuardedRedis {
  const connect = (connectionName: string): Redis => {
    const client = new Redis(url, {
      connectionName,
      commandTimeout: commandTimeoutMs,
      connectTimeout: 1_000,
      // A subscriber only listens: so it learns within a minute that its peer is gone.
      keepAlive: 30_000,
      // Who does not answer does not take leave either.
      disconnectTimeout: 250,
      // A resent or queued command may run twice or long after its caller gave up: a token taken twice.
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      // Kept low so that a restart is noticed soon; the jitter keeps a fleet from arriving together.
      retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 5), 1_000) + Math.random() * 100,
      // A primary that became a replica refuses writes: reconnect, the address may lead elsewhere now.
      reconnectOnError: (error) => error.message.startsWith("READONLY"),
      enableAutoPipelining: true,
      // Whoever subscribes does it again on "ready": what the client sends by itself rejects where nobody can handle it.
      autoResubscribe: false,
    });
    let reported = false;
    client.on("error", (error: Error) => {
      if (!reported) logger.warn({ err: error, connection: connectionName }, "redis connection failed");
      reported = true;
    });
    client.on("ready", () => {
      reported = false;
    });
    return client;
  };

  const client = connect(name);
  const others = new Set<Redis>();
  const breaker = circuitBreaker(handleWhen(isRedisOutage), {
    breaker: new ConsecutiveBreaker(failuresToOpen),
    halfOpenAfter: probeEveryMs,
  });
  const listeners = new Set<() => void>();
  let wasReady = false;
  client.on("ready", () => {
    if (wasReady) for (const listener of listeners) listener();
    wasReady = true;
  });
  const openness = gauge({
    name: "pricing_engine_breaker_open",
    help: "1 while calls fail at once because what they need is away; probes go on.",
    labels: ["breaker"],
  });
  openness.set({ breaker: breakerName }, 0);
  let unansweredSinceMs: number | undefined;
  client.on("ready", () => {
    unansweredSinceMs = undefined;
  });
  /** When a node is gone nobody tells who was connected, and the kernel gives up after a quarter of an hour. */
  function leaveWhatHangs(isAnswered: boolean): void {
    const nowMs = performance.now();
    if (isAnswered || client.status !== "ready") unansweredSinceMs = undefined;
    else {
      unansweredSinceMs ??= nowMs;
      if (nowMs - unansweredSinceMs >= hangingMs) client.disconnect(true);
    }
  }
  // Also each time that a probe fails.
  breaker.onBreak((reason) => {
    const error = "error" in reason ? reason.error : undefined;
    leaveWhatHangs(!(error instanceof Error && error.message === "Command timed out"));
    openness.set({ breaker: breakerName }, 1);
    logger.warn({ connection: name }, "redis breaker opened");
  });
  breaker.onReset(() => {
    unansweredSinceMs = undefined;
    openness.set({ breaker: breakerName }, 0);
    logger.info({ connection: name }, "redis breaker closed");
  });

  return {
    client,
    async guarded(fn) {
      try {
        return await breaker.execute(() => fn(client));
      } catch (error) {
        if (error instanceof AppError || !isRedisOutage(error)) throw error;
        throw new AppError("redis_unavailable", { cause: error });
      }
    },
    onReconnect(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    isAvailable: () => client.status === "ready" && breaker.state === 0,
    duplicate() {
      const other = connect(`${name}-${others.size + 1}`);
      others.add(other);
      return other;
    },
    async close() {
      listeners.clear();
      for (const connection of [...others, client]) connection.disconnect();
    },
  };
}

const outageCodes = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
]);
const outageMessage =
  /^(?:LOADING|MASTERDOWN|READONLY|CLUSTERDOWN|TRYAGAIN|OOM)\b|Connection is closed|Command timed out|Stream isn't writeable|max retries per request|Socket closed|socket timeout|Connection not established/i;

/** True when the error says that Redis could not be reached or did not answer: an outage, not a fault of the call. */
export function isRedisOutage(error: unknown): boolean {
  if (error instanceof BrokenCircuitError) return true;
  if (error instanceof AppError) return error.code === "redis_unavailable";
  if (!(error instanceof Error)) return false;
  if ("code" in error && typeof error.code === "string" && outageCodes.has(error.code)) return true;
  return error.name === "MaxRetriesPerRequestError" || outageMessage.test(error.message);
}
