import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { deadLetterTopic, groupName, type Policy, retryTopic, topicName, topics } from "@pricing-engine/contracts";
import { makeKafka, makeKafkaAdmin } from "@pricing-engine/kafka";
import { makePool, type Pool } from "@pricing-engine/postgres";
import {
  eventually,
  infra,
  makeTestEngine,
  type SpawnedService,
  spawnService,
  type TestDatabase,
} from "@pricing-engine/testkit";
import { onTestFailed } from "vitest";
import { makePricingDatabase, silent } from "./service.ts";

const entry = new URL("../../src/main.ts", import.meta.url);

export interface Task {
  task_id: string;
  status: string;
  products: { total: number; done: number; changed: number; failed: number };
  error?: string;
}

/** The service as it runs: an api and workers as processes, on topics and a database of their own. */
export interface RunningPricing extends AsyncDisposable {
  readonly pool: Pool;
  readonly database: TestDatabase;
  readonly prefix: string;
  readonly api: SpawnedService;
  startWorker(env?: Record<string, string>): Promise<SpawnedService>;
  /** One of the service's commands; resolves with what it wrote, rejects when it fails. */
  command(...args: string[]): Promise<string>;
  call(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }>;
  publish(event: Record<string, unknown>): Promise<string>;
  task(taskId: string): Promise<Task>;
  taskEnd(taskId: string, timeoutMs?: number): Promise<Task>;
}

export async function startPricing(
  options: { policy?: Policy; partitions?: number; env?: Record<string, string> } = {},
): Promise<RunningPricing> {
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).toReversed()) await closer();
  };
  try {
    const database = await makePricingDatabase();
    closers.push(() => database.drop());
    const pool = makePool({ url: database.url, max: 4, applicationName: "pricing-test", logger: silent });
    closers.push(() => pool.close());
    const engine = makeTestEngine();
    const { prefix } = engine;
    closers.push(await makeTopics(prefix, options.partitions ?? 4));
    const folder = await mkdtemp(join(tmpdir(), "pricing-engine-settings-"));
    closers.push(() => rm(folder, { recursive: true, force: true }));
    const settingsFile = join(folder, "settings.json");
    const pricing = {
      recalculateEveryMs: 0,
      signals: { ttlMs: { demand: 0, competitor_price: 0, stock: 0, cost: 0 } },
      ...(options.policy && { policy: options.policy }),
    };
    await writeFile(settingsFile, JSON.stringify({ epoch: 1, revision: 1, settings: { pricing } }));
    const env = {
      ENGINE_NAMESPACE: engine.namespace,
      ENGINE_NAME: engine.name,
      KAFKA_BROKERS: infra().kafkaBrokers,
      POSTGRES_URL: database.url,
      REDIS_URL: infra().redisUrl,
      SETTINGS_FILE: settingsFile,
      LOG_LEVEL: "info",
      ...options.env,
    };
    const spawn = async (role: string, extra: Record<string, string> = {}): Promise<SpawnedService> => {
      const service = await spawnService({ entry, args: [role], env: { ...env, ...extra } });
      closers.push(() => service.stop());
      // What a worker was about when a task did not end cannot be asked for afterwards.
      onTestFailed(() => console.error(`${role} ${service.pid}:\n${service.output().slice(-4_000)}`));
      return service;
    };
    const api = await spawn("api");
    const call: RunningPricing["call"] = async (method, path, body) => {
      const response = await fetch(`${api.url}${path}`, {
        method,
        ...(body !== undefined && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      });
      const text = await response.text();
      return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
    };
    const task = async (taskId: string): Promise<Task> => (await call("GET", `/api/v1/tasks/${taskId}`)).body as Task;
    return {
      pool,
      database,
      prefix,
      api,
      startWorker: (extra) => spawn("worker", extra),
      async command(...args) {
        const ended = await promisify(execFile)(process.execPath, [fileURLToPath(entry), ...args], { env });
        return ended.stdout;
      },
      call,
      task,
      async publish(event) {
        const { status, body } = await call("POST", "/api/v1/publish-market-event", event);
        if (status !== 202) throw new Error(`the event was answered with ${status}: ${JSON.stringify(body)}`);
        return (body as { task_id: string }).task_id;
      },
      async taskEnd(taskId, timeoutMs = 60_000) {
        await eventually(async () => !["queued", "running"].includes((await task(taskId)).status), { timeoutMs });
        return task(taskId);
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function makeTopics(prefix: string, partitions: number): Promise<() => Promise<void>> {
  const kafka = makeKafka({ brokers: infra().kafkaBrokers.split(","), clientId: "pricing-test", logger: silent });
  const admin = makeKafkaAdmin({ kafka });
  const group = groupName(prefix, "pricing-worker");
  const consumed = [topics.marketEvents, topics.recalculations].map((name) => topicName(prefix, name));
  const names = consumed.flatMap((topic) => [topic, retryTopic(topic, group), deadLetterTopic(topic, group)]);
  const changes = topicName(prefix, topics.priceChanges);
  const shape = { partitions, replicationFactor: 1 };
  await admin.ensureTopics([
    ...names.map((topic) => ({ topic, ...shape, keep: "forever" as const })),
    { topic: changes, ...shape, keep: "compact" },
  ]);
  return async () => {
    await admin.deleteTopics([...names, changes]);
    await admin.close();
  };
}

/** NDJSON of products `p-00000` and so on. */
export function* productLines(count: number, price = "10.00"): Generator<string> {
  for (let index = 0; index < count; index += 1) {
    const attributes = { zone: index % 7 };
    yield `${JSON.stringify({ product_id: `p-${String(index).padStart(6, "0")}`, name: `Product ${index}`, base_price: price, cost: "4.00", currency: "EUR", attributes })}\n`;
  }
}
