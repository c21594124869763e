import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Logger, makeLogger } from "@pricing-engine/chassis/log";
import {
  deadLetterTopic,
  engineSettingsSchema,
  groupName,
  retryTopic,
  type SearchResponse,
  type SourcesResponse,
  searchResponse,
  sourcesResponse,
  topicName,
  topics,
} from "@pricing-engine/contracts";
import { makeKafka, makeKafkaAdmin } from "@pricing-engine/kafka";
import {
  eventually,
  infra,
  makeTestDatabase,
  makeTestEngine,
  type SpawnedService,
  spawnService,
} from "@pricing-engine/testkit";
import postgres from "postgres";
import { migrate } from "../../src/roles/migrate.ts";

export const silent: Logger = makeLogger({ name: "test", level: "fatal" });
const entry = new URL("../../src/main.ts", import.meta.url);
const providerEntry = new URL("../../../../test/simulators/provider/main.ts", import.meta.url);

export type SourceOverrides = Partial<{
  name: string;
  url: string;
  format: string;
  intervalMs: number;
  timeoutMs: number;
  timezone: string;
  products: boolean;
}>;

export function makeIngestDatabase() {
  return makeTestDatabase({ template: "ingest", migrate: (url) => migrate(url, silent) });
}

/** An engine of its own: topics, database, settings; its processes are started one by one. */
export async function makeIngest(
  options: { sources?: readonly SourceOverrides[]; redisUrl?: string; postgresUrl?: (url: string) => string } = {},
) {
  const { namespace, name, prefix } = makeTestEngine();
  const database = await makeIngestDatabase();
  const folder = await mkdtemp(join(tmpdir(), "pricing-engine-ingest-"));
  const kafka = makeKafka({ brokers: infra().kafkaBrokers.split(","), clientId: "ingest-test", logger: silent });
  const admin = makeKafkaAdmin({ kafka });
  const catalogue = topicName(prefix, topics.catalogEvents);
  const marketEvents = topicName(prefix, topics.marketEvents);
  const group = groupName(prefix, "ingest-worker");
  const shape = { replicationFactor: 1, keep: "forever" as const };
  const names = [catalogue, retryTopic(catalogue, group), deadLetterTopic(catalogue, group), marketEvents];
  await admin.ensureTopics(names.map((topic) => ({ topic, partitions: topic === catalogue ? 3 : 1, ...shape })));
  const provider = await spawnService({ entry: providerEntry });
  const settingsFile = join(folder, "settings.json");
  const sources = (options.sources ?? [{}]).map((source, index) => ({
    name: `source-${index + 1}`,
    url: `${provider.url}/feeds/${source.name ?? `source-${index + 1}`}`,
    format: "plan-list-xml",
    intervalMs: 1000,
    timeoutMs: 5000,
    timezone: "UTC",
    products: false,
    ...source,
  }));
  const settings = engineSettingsSchema.parse({ ingest: { sources }, telemetry: { logLevel: "info" } });
  await writeFile(settingsFile, JSON.stringify({ epoch: 1, revision: 1, settings }));
  const sql = postgres(database.url, { max: 2, onnotice: () => undefined });
  const services: SpawnedService[] = [provider];
  const env = {
    ENGINE_NAMESPACE: namespace,
    ENGINE_NAME: name,
    KAFKA_BROKERS: infra().kafkaBrokers,
    POSTGRES_URL: options.postgresUrl?.(database.url) ?? database.url,
    POSTGRES_POOL_SIZE: "6",
    REDIS_URL: options.redisUrl ?? infra().redisUrl,
    SETTINGS_FILE: settingsFile,
  };

  const start = async (role: "poller" | "worker" | "api", more: Record<string, string> = {}) => {
    const service = await spawnService({ entry, args: [role], env: { ...env, ...more }, timeoutMs: 40_000 });
    services.push(service);
    return service;
  };

  return {
    prefix,
    env,
    database,
    sql,
    kafka,
    admin,
    provider,
    settings,
    start,
    marketEvents,
    /** Runs a command of the service to its end. */
    async command(args: string[]) {
      const { promise, resolve } = Promise.withResolvers<{ code: number | null; output: string }>();
      const { execFile } = await import("node:child_process");
      const child = execFile(
        process.execPath,
        [entry.pathname, ...args],
        { env: { ...process.env, ...env } },
        (_error, stdout) => resolve({ code: child.exitCode, output: stdout }),
      );
      return promise;
    },
    async behave(feed: string, behaviour: Record<string, unknown>) {
      const answer = await fetch(`${provider.url}/control/${feed}`, { method: "PUT", body: JSON.stringify(behaviour) });
      if (!answer.ok) throw new Error(`the provider refused ${JSON.stringify(behaviour)}`);
    },
    async log(feed: string) {
      const answer = await fetch(`${provider.url}/control/${feed}`);
      const { log } = (await answer.json()) as {
        log: { requests: number; answers: Record<string, number>; conditional: number; concurrent: number };
      };
      return log;
    },
    async search(api: SpawnedService, query = ""): Promise<SearchResponse["data"]["events"]> {
      const answer = await fetch(`${api.url}/search${query}`);
      if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
      return searchResponse.parse(await answer.json()).data.events;
    },
    async sources(api: SpawnedService): Promise<SourcesResponse["sources"]> {
      return sourcesResponse.parse(await (await fetch(`${api.url}/api/v1/sources`)).json()).sources;
    },
    /** Until a poll that began after now was finished. */
    async polled(source = "source-1", times = 1, timeoutMs = 20_000) {
      const polls = async () => {
        const [row] = await sql`select total_polls from ingest.sources where name = ${source}`;
        return Number(row?.total_polls ?? 0);
      };
      const before = await polls();
      await eventually(async () => (await polls()) > before + times, { timeoutMs });
    },
    /** Until the worker has read all that was published. */
    async drained(timeoutMs = 60_000) {
      await eventually(async () => (await admin.groupLag(group, [catalogue])).total === 0n, { timeoutMs });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(services.map((service) => service.stop()));
      await sql.end();
      await database.drop();
      await admin.deleteTopics(names).catch(() => undefined);
      await admin.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
