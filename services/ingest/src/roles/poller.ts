import { randomUUID } from "node:crypto";
import type { Lifecycle } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { gauge, shareReading } from "@pricing-engine/chassis/metrics";
import { groupName, retryTopic, topicName, topics } from "@pricing-engine/contracts";
import { makeKafkaAdmin } from "@pricing-engine/kafka";
import { digest } from "../adapters/digest.ts";
import { encodeEvent, makePublishEvent } from "../adapters/event-publisher.ts";
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
  const { kafka, producer } = openKafka(name, config, lifecycle, logger);
  const admin = makeKafkaAdmin({ kafka });
  lifecycle.defer("kafka admin", () => admin.close());
  const group = groupName(config.prefix, "ingest-worker");
  const catalogEvents = topicName(config.prefix, topics.catalogEvents);
  const pending = [catalogEvents, retryTopic(catalogEvents, group)];
  const client = makeFeedClient();
  lifecycle.defer("feeds", () => client.close());
  const store = makeSourceStore(pool, { owner: randomUUID(), leaseMs: config.SOURCE_LEASE_MS });
  const pollSource = makePollSource({
    client,
    findKnownPlans: makeFindKnownPlans(pool),
    // Who cannot say has not drained: the next poll asks again.
    isDrained: () =>
      admin.groupLag(group, pending).then(
        ({ total }) => total === 0n,
        () => false,
      ),
    encode: encodeEvent,
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

/** What the table of sources says, for Prometheus: one read a scrape, and nothing of sources that are gone. */
function exposeSources(read: () => Promise<SourceRow[]>): void {
  const rows = shareReading(read);
  const expose = (
    name: string,
    help: string,
    labels: readonly string[],
    describe: (row: SourceRow) => readonly [Record<string, string>, number][],
  ): void => {
    gauge({
      name,
      help,
      labels,
      collect: async (metric) => {
        const found = await rows();
        metric.reset();
        for (const row of found)
          for (const [more, value] of describe(row)) metric.set({ source: row.name, ...more }, value);
      },
    });
  };
  const kinds = (counts: Readonly<Record<string, number>>): [Record<string, string>, number][] =>
    Object.entries(counts).map(([kind, value]) => [{ kind }, value]);
  const withKind = ["source", "kind"];
  expose("pricing_engine_source_plans", "Plans of a source's last document.", withKind, (row) =>
    kinds({ seen: row.seen, changed: row.changed, rejected: row.rejected }),
  );
  expose(
    "pricing_engine_source_last_success_seconds",
    "When a source's document was last read whole, as Unix time.",
    ["source"],
    ({ lastSuccessAt }) => (lastSuccessAt === null ? [] : [[{}, lastSuccessAt.getTime() / 1000]]),
  );
  expose("pricing_engine_source_breaker_open", "1 while the breaker of a source is open.", ["source"], (row) => [
    [{}, stateOf(row) === "Open" ? 1 : 0],
  ]);
  expose(
    "pricing_engine_source_total",
    "Polls of a source since it is known, those that failed or broke off, and the plans that they changed.",
    withKind,
    ({ totals }) => kinds({ ...totals }),
  );
}
