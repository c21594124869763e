import { randomUUID } from "node:crypto";
import type { Lifecycle } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { gauge } from "@pricing-engine/chassis/metrics";
import { digest } from "../adapters/digest.ts";
import { makePublishEvent } from "../adapters/event-publisher.ts";
import { makeFeedClient } from "../adapters/feed-client.ts";
import { makeFindKnownPlans } from "../adapters/known-plans.ts";
import { makeSourceStore, type SourceRow } from "../adapters/source-store.ts";
import { type Config, readTokens } from "../config.ts";
import { stateOf } from "../usecases/get-sources.ts";
import { makePollSource } from "../usecases/poll-source.ts";
import { makePollSources } from "../usecases/poll-sources.ts";
import { needPostgres, openKafka, openResources } from "./resources.ts";

/** Reads the feeds that are due. Any number of pollers share them out. */
export async function runPoller(
  config: Config,
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<{ metricsPort: number }> {
  const name = "ingest-poller";
  const { pool, settings, metricsPort } = await openResources(name, config, lifecycle, logger);
  needPostgres(pool, lifecycle);
  const { producer } = openKafka(name, config, lifecycle, logger);
  const client = makeFeedClient();
  lifecycle.defer("feeds", () => client.close());
  const store = makeSourceStore(pool, { owner: randomUUID(), leaseMs: config.SOURCE_LEASE_MS });
  const pollSource = makePollSource({
    client,
    findKnownPlans: makeFindKnownPlans(pool),
    publish: makePublishEvent(producer, config.prefix),
    digest,
    random: Math.random,
  });
  const polls = makePollSources({
    store,
    pollSource,
    settings,
    tokens: readTokens(config.SOURCE_TOKENS_FILE),
    leaseMs: config.SOURCE_LEASE_MS,
    logger,
  });
  lifecycle.defer("polls", () => polls.stop());
  polls.start();
  exposeSources(() => store.read(settings().ingest.sources.map((source) => source.name)));
  return { metricsPort };
}

/** What the table of sources says, for Prometheus. */
function exposeSources(read: () => Promise<SourceRow[]>): void {
  gauge({
    name: "pricing_engine_source_plans",
    help: "Plans of a source's last document.",
    labels: ["source", "kind"],
    collect: async (of) => {
      of.reset();
      for (const row of await read()) {
        const source = row.name;
        of.set({ source, kind: "seen" }, row.seen);
        of.set({ source, kind: "changed" }, row.changed);
        of.set({ source, kind: "rejected" }, row.rejected);
        if (row.lastSuccessAt !== null) lastSuccess.set({ source }, row.lastSuccessAt.getTime() / 1000);
        breaker.set({ source }, stateOf(row) === "Open" ? 1 : 0);
        totals.set({ source, kind: "polls" }, row.totals.polls);
        totals.set({ source, kind: "failures" }, row.totals.failures);
        totals.set({ source, kind: "partials" }, row.totals.partials);
        totals.set({ source, kind: "changed" }, row.totals.changed);
      }
    },
  });
  const lastSuccess = gauge({
    name: "pricing_engine_source_last_success_seconds",
    help: "When a source's document was last read whole, as Unix time.",
    labels: ["source"],
  });
  const breaker = gauge({
    name: "pricing_engine_source_breaker_open",
    help: "1 while the breaker of a source is open.",
    labels: ["source"],
  });
  const totals = gauge({
    name: "pricing_engine_source_total",
    help: "Polls of a source since it is known, those that failed or broke off, and the plans that they changed.",
    labels: ["source", "kind"],
  });
}
