import { compressResponses, etagResponses, makeHttpApp, serveHttp } from "@pricing-engine/chassis/http";
import type { Lifecycle } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { makePool } from "@pricing-engine/postgres";
import { makeSearchCache } from "@pricing-engine/search-cache";
import { makeCatalogue } from "../adapters/catalogue.ts";
import { digest } from "../adapters/digest.ts";
import { readSources } from "../adapters/source-store.ts";
import type { Config } from "../config.ts";
import { mountSearch, renderSearchError } from "../http/search.ts";
import { mountSources } from "../http/sources.ts";
import { makeGetSources } from "../usecases/get-sources.ts";
import { makeSearch } from "../usecases/search.ts";
import { openResources } from "./resources.ts";

/** Answers searches. Needs Postgres (either one) or Redis; nothing of a provider. */
export async function runApi(
  config: Config,
  lifecycle: Lifecycle,
  logger: Logger,
): Promise<{ httpPort: number; metricsPort: number }> {
  const name = "ingest-api";
  const { pool, redis, settings, metricsPort } = await openResources(name, config, lifecycle, logger);
  const replica =
    config.POSTGRES_REPLICA_URL === undefined
      ? undefined
      : makePool({
          url: config.POSTGRES_REPLICA_URL,
          max: Math.max(4, config.POSTGRES_POOL_SIZE),
          applicationName: name,
          connectTimeoutMs: 1_000,
          logger,
        });
  if (replica !== undefined) lifecycle.defer("postgres replica", () => replica.close());
  lifecycle.health.register("postgres", async () => {
    const checks = [pool, ...(replica === undefined ? [] : [replica])].map((each) => each.check(900));
    const results = await Promise.allSettled(checks);
    return results.some(({ status }) => status === "fulfilled")
      ? { ok: true }
      : { ok: false, reason: "neither primary nor replica answers" };
  });
  const cache = makeSearchCache({
    redis,
    prefix: config.prefix,
    onError: (error) => logger.debug({ err: error }, "search cache"),
  });
  const catalogue = makeCatalogue({ primary: pool, replica, logger, now: () => performance.now() });
  const app = makeHttpApp({ logger, name, renderError: renderSearchError });
  app.use(compressResponses());
  app.get("*", etagResponses());
  mountSearch(app, { search: makeSearch({ cache, catalogue, digest }) });
  mountSources(app, {
    getSources: makeGetSources({
      sources: () => settings().ingest.sources,
      readSources: (names) => readSources(pool, names),
    }),
  });
  const { port: httpPort } = await serveHttp({
    app,
    port: config.HTTP_PORT,
    host: config.HTTP_HOST,
    lingerMs: config.HTTP_LINGER_MS,
    lifecycle,
  });
  return { httpPort, metricsPort };
}
