import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ChargeData,
  chargeMessage,
  type EngineSettings,
  groupName,
  type PaymentControlData,
  type PaymentResponse,
  type PaymentsSummaryResponse,
  paymentControlMessage,
  topicName,
  topics,
} from "@pricing-engine/contracts";
import { encodeEnvelope, makeKafka, makeKafkaAdmin, makeProducer, withGroupTopics } from "@pricing-engine/kafka";
import { makePool, type Pool } from "@pricing-engine/postgres";
import { eventually, infra, makeTestEngine, type SpawnedService, spawnService } from "@pricing-engine/testkit";
import { makePaymentDatabase, silent } from "./database.ts";
import { type Processor, startProcessor } from "./processor.ts";

const entry = new URL("../../src/main.ts", import.meta.url);

type Settings = { payment?: unknown; gateway?: unknown };

/**
 * For a test that says which processor has what: on a busy machine the first calls of cold processes take seconds, and the worker would
 * rightly try the fallback, or give them up. Where payments go by what calls take is shown with a clock that nobody else has a part in:
 * traffic.test.ts.
 */
export const unhurried = {
  routing: { preferDefaultBelowMs: 60_000 },
  env: { PAYMENT_TIMEOUT_MS: "60000" },
};

export type Accepted = { correlationId: string; amountMinor: number };

/** The service as it runs: workers and an api as processes, two processors, topics and a database of their own. */
export type RunningPayments = AsyncDisposable & {
  pool: Pool;
  prefix: string;
  databaseUrl: string;
  processors: { default: Processor; fallback: Processor };
  startWorker(env?: Record<string, string>): Promise<SpawnedService>;
  startApi(): Promise<SpawnedService>;
  /** Resolves when Kafka has them all. */
  charge(charges: readonly ChargeData[]): Promise<void>;
  /** So many payments of clients, with random ids. */
  accept(count: number, amountMinor?: number): Promise<Accepted[]>;
  control(data: PaymentControlData): Promise<void>;
  /** Waits until each accepted payment is settled. */
  settled(accepted: readonly Accepted[], timeoutMs?: number): Promise<void>;
  /** Invariants 1 and 2 of the accepted against both processors and the tables. */
  audit(accepted: readonly Accepted[]): Promise<{ default: number; fallback: number }>;
  env: Record<string, string>;
};

export async function startPayments(
  options: { partitions?: number; settings?: Settings; processorArgs?: string[]; env?: Record<string, string> } = {},
): Promise<RunningPayments> {
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).toReversed()) await closer();
  };
  try {
    const database = await makePaymentDatabase();
    closers.push(() => database.drop());
    const pool = makePool({ url: database.url, max: 4, applicationName: "payment-test", logger: silent });
    closers.push(() => pool.close());
    const engine = makeTestEngine();
    const { prefix } = engine;
    const kafka = makeKafka({ brokers: [infra().kafkaBrokers], clientId: "payment-test", logger: silent });
    const admin = makeKafkaAdmin({ kafka });
    closers.push(() => admin.close());
    const shape = { partitions: options.partitions ?? 4, replicationFactor: 1, keep: "forever" } as const;
    const specs = [
      ...withGroupTopics({ topic: topicName(prefix, topics.payments), ...shape }, [
        groupName(prefix, "payment-worker"),
      ]),
      ...withGroupTopics({ topic: topicName(prefix, topics.paymentControls), ...shape }, [
        groupName(prefix, "payment-controls"),
      ]),
      { topic: topicName(prefix, topics.paymentEvents), ...shape },
    ];
    await admin.ensureTopics(specs);
    closers.push(() => admin.deleteTopics(specs.map(({ topic }) => topic)));
    const producer = makeProducer({ kafka });
    closers.push(() => producer.close());
    const [cheap, dear] = await Promise.all([
      startProcessor(["--fee", "0.05", ...(options.processorArgs ?? [])]),
      startProcessor(["--fee", "0.15", ...(options.processorArgs ?? [])]),
    ]);
    closers.push(
      () => cheap.service.kill(),
      () => dear.service.kill(),
    );
    const processors = { default: cheap, fallback: dear };
    const folder = await mkdtemp(join(tmpdir(), "pricing-engine-settings-"));
    closers.push(() => rm(folder, { recursive: true, force: true }));
    const settingsFile = join(folder, "settings.json");
    const settings: { [Key in keyof EngineSettings]?: unknown } = {
      gateway: { allowPurge: true },
      ...options.settings,
    };
    await writeFile(settingsFile, JSON.stringify({ epoch: 1, revision: 1, settings }));
    const env = {
      ENGINE_NAMESPACE: engine.namespace,
      ENGINE_NAME: engine.name,
      KAFKA_BROKERS: infra().kafkaBrokers,
      POSTGRES_URL: database.url,
      REDIS_URL: infra().redisUrl,
      SETTINGS_FILE: settingsFile,
      PAYMENT_DEFAULT_URL: cheap.url,
      PAYMENT_FALLBACK_URL: dear.url,
      PAYMENT_DEFAULT_TOKEN: "123",
      PAYMENT_FALLBACK_TOKEN: "123",
      PAYMENT_TIMEOUT_MS: "2000",
      LOG_LEVEL: "warn",
      ...options.env,
    };
    const spawn = async (role: string, extra: Record<string, string> = {}): Promise<SpawnedService> => {
      const service = await spawnService({ entry, args: [role], env: { ...env, ...extra }, timeoutMs: 90_000 });
      closers.push(async () => {
        service.resume();
        await service.stop();
        if (process.env.TEST_LOG === "1") process.stderr.write(service.output());
      });
      return service;
    };
    const envelope = (type: string) => ({
      id: randomUUID(),
      type,
      version: 1 as const,
      occurredAt: new Date().toISOString(),
      tenantId: "default",
    });
    const charge: RunningPayments["charge"] = async (charges) => {
      await Promise.all(
        charges.map((data) =>
          producer.send({
            topic: topicName(prefix, topics.payments),
            key: data.correlationId,
            value: encodeEnvelope(chargeMessage, { ...envelope("payment-charge"), type: "payment-charge", data }),
          }),
        ),
      );
    };
    const countOf = async (state: string): Promise<number> => {
      const [row] = await pool.sql<{ count: number }[]>`
        select count(*)::int as count from payment.payments where state = ${state} and source = 'api'`;
      return row?.count ?? 0;
    };
    return {
      pool,
      prefix,
      databaseUrl: database.url,
      processors,
      env,
      startWorker: (extra) => spawn("worker", extra),
      startApi: () => spawn("api"),
      charge,
      async accept(count, amountMinor = 2005) {
        const accepted = Array.from({ length: count }, () => ({ correlationId: randomUUID(), amountMinor }));
        await charge(accepted.map((one) => ({ source: "api", ...one })));
        return accepted;
      },
      async control(data) {
        await producer.send({
          topic: topicName(prefix, topics.paymentControls),
          key: data.correlationId,
          value: encodeEnvelope(paymentControlMessage, {
            ...envelope("payment-control"),
            type: "payment-control",
            data,
          }),
        });
      },
      async settled(accepted, timeoutMs = 90_000) {
        await eventually(async () => (await countOf("settled")) === accepted.length, { timeoutMs, intervalMs: 100 });
      },
      async audit(accepted) {
        const dumps = { default: await processors.default.dump(), fallback: await processors.fallback.dump() };
        const recorded = [...dumps.default, ...dumps.fallback];
        const expected = new Map(accepted.map((one) => [one.correlationId, one.amountMinor]));
        const found = new Map(recorded.map((one) => [one.correlationId, one.amountMinor]));
        const doubled = recorded.length - found.size;
        const lost = [...expected.keys()].filter((id) => !found.has(id));
        const wrong = [...found].filter(([id, amountMinor]) => expected.get(id) !== amountMinor);
        if (doubled > 0 || lost.length > 0 || wrong.length > 0) {
          throw new Error(`doubled ${doubled}, lost ${lost.length}, not ours or of another amount ${wrong.length}`);
        }
        for (const name of ["default", "fallback"] as const) {
          const [row] = await pool.sql<{ payments: number; amount: string }[]>`
            select coalesce(sum(payments), 0)::int as payments, coalesce(sum(amount_minor), 0)::text as amount
            from payment.rollups where processor = ${name} and granularity_ms = 60000`;
          const sum = dumps[name].reduce((total, { amountMinor }) => total + amountMinor, 0);
          if (row?.payments !== dumps[name].length || Number(row.amount) !== sum) {
            throw new Error(`rollups of ${name}: ${JSON.stringify(row)}, recorded ${dumps[name].length}, ${sum}`);
          }
        }
        return { default: dumps.default.length, fallback: dumps.fallback.length };
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

export async function getPayment(api: SpawnedService, id: string): Promise<{ status: number; body: PaymentResponse }> {
  const response = await fetch(`${api.url}/payments/${id}`);
  return { status: response.status, body: (await response.json()) as PaymentResponse };
}

export async function getSummary(api: SpawnedService, from?: Date, to?: Date): Promise<PaymentsSummaryResponse> {
  const query = new URLSearchParams();
  if (from !== undefined) query.set("from", from.toISOString());
  if (to !== undefined) query.set("to", to.toISOString());
  const response = await fetch(`${api.url}/payments-summary?${query}`);
  return (await response.json()) as PaymentsSummaryResponse;
}
