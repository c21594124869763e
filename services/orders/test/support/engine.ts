import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { groupName, type OrderResponse, orderResponse, retryTopic, topicName, topics } from "@pricing-engine/contracts";
import {
  type DeadLetters,
  makeDeadLetters,
  makeKafka,
  makeKafkaAdmin,
  makeProducer,
  runConsumer,
  withGroupTopics,
} from "@pricing-engine/kafka";
import { makePool, type Pool } from "@pricing-engine/postgres";
import { makeRedis, pushSettings } from "@pricing-engine/redis";
import { eventually, infra, makeTestEngine, type SpawnedService, spawnService } from "@pricing-engine/testkit";
import { stages } from "../../src/config.ts";
import { entryOf, makeEngineDatabase, silent } from "./database.ts";
import { type DumpedPayment, type Processor, startProcessor } from "./processor.ts";

export type Stage = (typeof stages)[number];
export type Answer<Body = Record<string, unknown>> = { status: number; headers: Headers; body: Body };

const groups: Readonly<Record<string, readonly string[]>> = {
  "pricing-worker": [topics.marketEvents, topics.recalculations],
  "payment-worker": [topics.payments],
  "payment-controls": [topics.paymentControls],
  "orders-inventory": [topics.orderInventory],
  "orders-payment": [topics.orderPayment, topics.paymentEvents],
  "orders-fulfillment": [topics.orderFulfillment],
  "orders-notification": [topics.orderNotification],
};

export type RunningOrders = AsyncDisposable & {
  prefix: string;
  pool: Pool;
  api: SpawnedService;
  processors: { default: Processor; fallback: Processor };
  /** What both processors recorded: a payment on a busy machine may well take the fallback. */
  recorded(): Promise<DumpedPayment[]>;
  receipts: string;
  deadLetters: DeadLetters;
  start(role: Stage, env?: Record<string, string>): Promise<SpawnedService>;
  /**
   * The stage that sets a charge's deadline, with a time-out of its own: so a charge that must succeed has all the time that a busy machine
   * takes, and who waits to be asked again is asked soon.
   */
  startInventory(stateTimeoutMs: number): Promise<SpawnedService>;
  startPricingWorker(): Promise<SpawnedService>;
  startPaymentWorker(): Promise<SpawnedService>;
  /** A call of the orders api. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  pricing(method: string, path: string, body?: unknown): Promise<Answer>;
  product(id: string, stock: number | null, price?: string): Promise<void>;
  /** Places an order of one product; the answer must be 202. */
  place(productId: string, quantity?: number, more?: Record<string, unknown>): Promise<string>;
  order(orderId: string): Promise<OrderResponse>;
  /** Waits until the order is in one of the states. */
  reaches(orderId: string, ...statuses: OrderResponse["status"][]): Promise<OrderResponse>;
  counts(): Promise<Record<string, number>>;
  command(...args: string[]): Promise<{ code: number | null; output: string }>;
  /** Waits until no message and no row of an outbox waits for anybody, retries included. */
  idle(): Promise<void>;
  /** Live settings of orders: what runs hears of them soon. */
  change(orders: Record<string, unknown>): Promise<void>;
  /** Joins a group in the place of its stage, and does nothing of what is asked of it: those messages are lost. */
  lose(stage: Stage): { lost(topic?: string): number; stop(): Promise<void> };
};

export type EngineOptions = {
  orders?: Record<string, unknown>;
  gateway?: Record<string, unknown>;
  pricing?: Record<string, unknown>;
  partitions?: number;
  /** Stages that start with it; default all. */
  run?: readonly Stage[];
  env?: Record<string, string>;
  paymentWorker?: boolean;
};

const patience = { timeoutMs: 60_000, intervalMs: 100 };

/** Orders as they run: pricing, payments with two processors, and the roles of orders, each its own process. */
export async function startOrders(options: EngineOptions = {}): Promise<RunningOrders> {
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).toReversed()) await closer();
  };
  try {
    const database = await makeEngineDatabase();
    closers.push(() => database.drop());
    const pool = makePool({ url: database.url, max: 4, applicationName: "orders-test", logger: silent });
    closers.push(() => pool.close());
    const engine = makeTestEngine();
    const { prefix } = engine;
    const kafka = makeKafka({ brokers: infra().kafkaBrokers.split(","), clientId: "orders-test", logger: silent });
    const admin = makeKafkaAdmin({ kafka });
    closers.push(() => admin.close());
    const shape = { partitions: options.partitions ?? 4, replicationFactor: 1 };
    const specs = [
      ...Object.entries(groups).flatMap(([group, names]) =>
        names.flatMap((topic) =>
          withGroupTopics({ topic: topicName(prefix, topic), ...shape, keep: "forever" }, [groupName(prefix, group)]),
        ),
      ),
      ...[topics.orders, topics.priceChanges].map((topic) => {
        return { topic: topicName(prefix, topic), ...shape, keep: "compact" as const };
      }),
    ];
    await admin.ensureTopics(specs);
    closers.push(() => admin.deleteTopics(specs.map(({ topic }) => topic)));
    const producer = makeProducer({ kafka });
    closers.push(() => producer.close());
    const [cheap, dear] = await Promise.all([startProcessor("0.05"), startProcessor("0.15")]);
    closers.push(
      () => cheap.service.kill(),
      () => dear.service.kill(),
    );
    const folder = await mkdtemp(join(tmpdir(), "pricing-engine-orders-"));
    closers.push(() => rm(folder, { recursive: true, force: true }));
    const settingsFile = join(folder, "settings.json");
    const settings = {
      orders: options.orders ?? {},
      gateway: options.gateway ?? {},
      pricing: { recalculateEveryMs: 0, ...options.pricing },
      payment: { routing: { maxHoldMs: 500 } },
    };
    await writeFile(settingsFile, JSON.stringify({ epoch: 1, revision: 1, settings }));
    let revision = 1;
    const keys = join(folder, "keys.json");
    await writeFile(keys, JSON.stringify({ keys: [{ id: "k1", secret: Buffer.alloc(32, 7).toString("base64") }] }));
    const receipts = join(folder, "receipts");
    const common: Record<string, string> = {
      ENGINE_NAMESPACE: engine.namespace,
      ENGINE_NAME: engine.name,
      KAFKA_BROKERS: infra().kafkaBrokers,
      POSTGRES_URL: database.url,
      REDIS_URL: infra().redisUrl,
      SETTINGS_FILE: settingsFile,
      SIGNING_KEYS_FILE: keys,
      PAYMENT_DEFAULT_URL: cheap.url,
      PAYMENT_FALLBACK_URL: dear.url,
      PAYMENT_DEFAULT_TOKEN: "123",
      PAYMENT_FALLBACK_TOKEN: "123",
      PAYMENT_TIMEOUT_MS: "2000",
      RECEIPTS_DIRECTORY: receipts,
      LOG_LEVEL: "warn",
      ...options.env,
    };
    const spawn = async (
      service: "orders" | "payment" | "pricing",
      role: string,
      extra: Record<string, string> = {},
    ): Promise<SpawnedService> => {
      const env = { ...common, ...extra };
      const started = await spawnService({ entry: entryOf(service), args: [role], env, timeoutMs: 90_000 });
      closers.push(async () => {
        started.resume();
        await started.stop();
        if (process.env.TEST_LOG === "1") process.stderr.write(started.output());
      });
      return started;
    };
    const pricingApi = await spawn("pricing", "api");
    const api = await spawn("orders", "api", { PRICING_URL: pricingApi.url });
    if (options.paymentWorker !== false) await spawn("payment", "worker");
    await Promise.all((options.run ?? stages).map((stage) => spawn("orders", stage)));

    const request = async (
      url: string,
      method: string,
      body: unknown,
      headers: Record<string, string> = {},
    ): Promise<Answer> => {
      const response = await fetch(url, {
        method,
        headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      const json = text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
      return { status: response.status, headers: response.headers, body: json };
    };
    const running: RunningOrders = {
      prefix,
      pool,
      api,
      processors: { default: cheap, fallback: dear },
      recorded: async () => (await Promise.all([cheap.dump(), dear.dump()])).flat(),
      receipts,
      deadLetters: makeDeadLetters({ kafka, admin, producer, prefix }),
      start: (role, env) => spawn("orders", role, env),
      async startInventory(stateTimeoutMs) {
        const file = join(folder, "inventory-settings.json");
        const own = { ...settings, orders: { ...settings.orders, stateTimeoutMs } };
        await writeFile(file, JSON.stringify({ epoch: 1, revision: 1, settings: own }));
        return spawn("orders", "inventory", { SETTINGS_FILE: file });
      },
      startPricingWorker: () => spawn("pricing", "worker"),
      startPaymentWorker: () => spawn("payment", "worker"),
      call: (method, path, body, headers) => request(`${api.url}${path}`, method, body, headers),
      pricing: (method, path, body) => request(`${pricingApi.url}${path}`, method, body),
      async product(id, stock, price = "10.00") {
        const product = { name: `Product ${id}`, base_price: price, currency: "EUR", stock };
        const { status, body } = await running.pricing("PUT", `/api/v1/products/${id}`, product);
        if (status !== 201) throw new Error(`${id}: ${status} ${JSON.stringify(body)}`);
      },
      async place(productId, quantity = 1, more = {}) {
        const key = `key-${Math.random()}`;
        const items = [{ product_id: productId, quantity }];
        const answer = await running.call("POST", "/orders", {
          customer_id: "c",
          items,
          idempotency_key: key,
          ...more,
        });
        if (answer.status !== 202) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
        return String(answer.body.order_id);
      },
      async order(orderId) {
        const { status, body } = await running.call("GET", `/orders/${orderId}`);
        if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
        return orderResponse.parse(body);
      },
      async reaches(orderId, ...statuses) {
        const found: { order?: OrderResponse } = {};
        const seen = async (): Promise<boolean> => {
          found.order = await running.order(orderId);
          return statuses.includes(found.order.status);
        };
        await eventually(seen, patience).catch((cause: unknown) => {
          throw new Error(`${orderId} is ${found.order?.status}, not ${statuses.join(" or ")}`, { cause });
        });
        if (found.order === undefined) throw new Error(`${orderId} was not read`);
        return found.order;
      },
      async counts() {
        const rows = await pool.sql<{ status: string; count: number }[]>`
          select status, count(*)::int as count from orders.orders group by status`;
        return Object.fromEntries(rows.map((row) => [row.status, row.count]));
      },
      command(...args) {
        const { promise, resolve } = Promise.withResolvers<{ code: number | null; output: string }>();
        const env = { ...process.env, ...common };
        const child = execFile(process.execPath, [entryOf("orders"), ...args], { env }, (_error, stdout) =>
          resolve({ code: child.exitCode, output: stdout }),
        );
        return promise;
      },
      async idle() {
        const waits = async (): Promise<string[]> => {
          const lags = Object.entries(groups).map(async ([name, of]) => {
            const group = groupName(prefix, name);
            const own = of.map((topic) => topicName(prefix, topic));
            const read = [...own, ...own.map((topic) => retryTopic(topic, group))];
            const { partitions } = await admin.groupLag(group, read);
            return partitions.filter(({ lag }) => lag > 0n).map(({ topic, lag }) => `${lag} of ${topic}`);
          });
          const [outbox] = await pool.sql<{ count: number }[]>`
            select (select count(*) from orders.outbox)::int + (select count(*) from payment.outbox)::int as count`;
          return [
            ...(await Promise.all(lags)).flat(),
            ...(outbox?.count === 0 ? [] : [`${outbox?.count} of an outbox`]),
          ];
        };
        await eventually(async () => {
          const found = await waits();
          if (found.length > 0) throw new Error(`waiting: ${found.join(", ")}`);
        }, patience);
      },
      async change(changed) {
        const redis = makeRedis({ url: infra().redisUrl, logger: silent, name: "orders-test" });
        try {
          await eventually(() => redis.isAvailable());
          revision += 1;
          const document = {
            epoch: 1,
            revision,
            settings: { ...settings, orders: { ...settings.orders, ...changed } },
          };
          await pushSettings(redis, prefix, document);
        } finally {
          await redis.close();
        }
      },
      lose(stage) {
        const lost: string[] = [];
        const groupId = groupName(prefix, `orders-${stage}`);
        const consumer = runConsumer({
          kafka,
          producer,
          groupId,
          topics: (groups[`orders-${stage}`] ?? []).map((topic) => topicName(prefix, topic)),
          isOutage: () => false,
          logger: silent,
          handle: async ({ topic }) => {
            lost.push(topic);
          },
        });
        return {
          lost: (of) => lost.filter((topic) => of === undefined || topic === topicName(prefix, of)).length,
          stop: () => consumer.stop(),
        };
      },
      [Symbol.asyncDispose]: close,
    };
    return running;
  } catch (error) {
    await close();
    throw error;
  }
}
