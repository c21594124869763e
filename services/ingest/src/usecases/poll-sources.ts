import type { Logger } from "@pricing-engine/chassis/log";
import type { EngineSettings, SourceSettings } from "@pricing-engine/contracts";
import type { Claim, SourceStore } from "../adapters/source-store.ts";
import { longestWaitMs } from "../domain/schedule.ts";
import type { PollSource } from "./poll-source.ts";

export interface PollSources {
  start(): void;
  /** Aborts the polls in hand and gives their leases back. */
  stop(): Promise<void>;
}

const lookEveryMs = 250;
const outageWaitMs = 1_000;

/**
 * Polls what is due. Each poll runs on its own, so one that hangs holds up no other; its lease is renewed while it lasts, and a
 * poll that loses it stops publishing.
 */
export function makePollSources(deps: {
  store: SourceStore;
  pollSource: PollSource;
  settings: () => EngineSettings;
  tokens: ReadonlyMap<string, string>;
  leaseMs: number;
  logger: Pick<Logger, "info" | "warn" | "debug">;
}): PollSources {
  const { store, pollSource, settings, tokens, leaseMs, logger } = deps;
  const stopping = new AbortController();
  const running = new Map<string, Promise<void>>();
  const ensured = new Set<string>();
  let looking: Promise<void> | undefined;

  async function look(): Promise<void> {
    const { sources } = settings().ingest;
    const missing = sources.map(({ name }) => name).filter((name) => !ensured.has(name));
    await store.ensure(missing);
    for (const name of missing) ensured.add(name);
    const idle = new Map(sources.filter(({ name }) => !running.has(name)).map((source) => [source.name, source]));
    if (idle.size === 0) return;
    const plans = new Map(
      [...idle.values()].map((source) => {
        const readAs = describeReading(source, settings());
        return [source.name, { readAs, longestWaitMs: longestWaitMs(source.intervalMs) }];
      }),
    );
    for (const claim of await store.claimDue(plans)) {
      const source = idle.get(claim.source);
      if (source === undefined) continue;
      const poll = run(source, claim).finally(() => running.delete(claim.source));
      running.set(claim.source, poll);
    }
  }

  async function run(source: SourceSettings, claim: Claim): Promise<void> {
    const lost = new AbortController();
    const renewal = setInterval(() => {
      renewLease(claim, lost).catch((error: unknown) => logger.debug({ err: error }, "a lease was not renewed"));
    }, leaseMs / 3);
    const signal = AbortSignal.any([stopping.signal, lost.signal]);
    const startedMs = performance.now();
    try {
      const { currency } = settings().pricing;
      const result = await pollSource(source, claim, { token: tokens.get(source.name), currency, signal });
      const kept = await store.finish(claim, result);
      const { outcome, error, seen, changed, rejected, nextMs } = result;
      const durationMs = Math.round(performance.now() - startedMs);
      const event = { source: source.name, outcome, error, seen, changed, rejected, nextMs, durationMs, kept };
      if (error === undefined) logger.info(event, "poll");
      else logger.warn(event, "poll");
    } catch (error) {
      if (!stopping.signal.aborted) logger.warn({ err: error, source: source.name }, "a poll was given up");
      await store.release(claim, stopping.signal.aborted ? 0 : outageWaitMs).catch(() => undefined);
    } finally {
      clearInterval(renewal);
    }
  }

  const lastRenewal = new WeakMap<Claim, number>();
  async function renewLease(claim: Claim, lost: AbortController): Promise<void> {
    const askedMs = performance.now();
    try {
      if (await store.renew(claim)) lastRenewal.set(claim, askedMs);
      else lost.abort(new Error("the lease is lost"));
    } finally {
      // Without an answer the lease may be over: then somebody else polls, and what we publish is older.
      const heldMs = askedMs - (lastRenewal.get(claim) ?? askedMs);
      if (heldMs > leaseMs) lost.abort(new Error("the lease could not be renewed"));
    }
  }

  async function loop(): Promise<void> {
    let reported = false;
    while (!stopping.signal.aborted) {
      try {
        await look();
        reported = false;
      } catch (error) {
        if (!reported) logger.warn({ err: error }, "cannot look for sources that are due");
        reported = true;
      }
      await sleep(reported ? outageWaitMs : lookEveryMs * (0.8 + Math.random() * 0.4), stopping.signal);
    }
  }

  return {
    start() {
      looking ??= loop();
    },
    async stop() {
      stopping.abort();
      await looking;
      await Promise.all(running.values());
    },
  };
}

/** How a document is read. When it changes, what the provider would call unchanged must be read again. */
function describeReading({ url, format, timezone, products }: SourceSettings, { pricing }: EngineSettings): string {
  return JSON.stringify([1, url, format, timezone, products, products ? pricing.currency : null]);
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) return Promise.resolve();
  const timer = setTimeout(resolve, ms);
  const stop = () => resolve();
  signal.addEventListener("abort", stop, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  });
}
