import { type Logger, makeLogger } from "@pricing-engine/chassis/log";
import { type Policy, type ProductInput, policySchema, productInput } from "@pricing-engine/contracts";
import { makePool, type Pool } from "@pricing-engine/postgres";
import { makeTestDatabase, makeTestPrefix, type TestDatabase } from "@pricing-engine/testkit";
import postgres from "postgres";
import { makeCompiledPolicies } from "../../src/adapters/compiled-policies.ts";
import { migrate } from "../../src/roles/migrate.ts";
import { makeApplyMarketEvent } from "../../src/usecases/apply-market-event.ts";
import { makeApplySettings } from "../../src/usecases/apply-settings.ts";
import { makeDeleteProduct } from "../../src/usecases/delete-product.ts";
import { makeFailTask } from "../../src/usecases/fail-task.ts";
import { makeGetProduct } from "../../src/usecases/get-product.ts";
import { makeGetTask } from "../../src/usecases/get-task.ts";
import { makeListProducts } from "../../src/usecases/list-products.ts";
import { makePublishMarketEvent } from "../../src/usecases/publish-market-event.ts";
import { makePublishPrices } from "../../src/usecases/publish-prices.ts";
import { makePutProduct } from "../../src/usecases/put-product.ts";
import { makeRecalculateChunk } from "../../src/usecases/recalculate-chunk.ts";
import { makeScheduleRecalculation } from "../../src/usecases/schedule-recalculation.ts";
import { makeStartRecalculation } from "../../src/usecases/start-recalculation.ts";
import { makeSweepTasks } from "../../src/usecases/sweep-tasks.ts";
import { makeWriteProducts } from "../../src/usecases/write-products.ts";

export const silent: Logger = makeLogger({ name: "test", level: "fatal" });

/** A database with the service's tables and the months around now. */
export function makePricingDatabase(): Promise<TestDatabase> {
  return makeTestDatabase({
    template: "pricing",
    migrate: async (url) => {
      await migrate(url, silent);
      await makeMonths(url);
    },
  });
}

/** The months before, of, and after now. In production the operator makes them. */
async function makeMonths(url: string): Promise<void> {
  const sql = postgres(url, { max: 1 });
  try {
    for (const offset of [-1, 0, 1]) await sql.unsafe(monthDdl(offset));
  } finally {
    await sql.end();
  }
}

export function monthDdl(offset: number, now = new Date()): string {
  const start = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset, 1));
  const end = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset + 1, 1));
  const name = `price_history_${start.toISOString().slice(0, 7).replace("-", "_")}`;
  return `create table pricing.${name} partition of pricing.price_history
    for values from ('${start.toISOString()}') to ('${end.toISOString()}')`;
}

export const doubled: Policy = policySchema.parse({
  market: [{ name: "double", adjust: { multiply: "2.0" }, reason: "Twice" }],
});

/** A policy of one rule that multiplies by demand. */
export const byDemand: Policy = policySchema.parse({
  market: [{ name: "demand", when: "signals.demand > 0.0", adjust: { multiply: "signals.demand" }, reason: "Demand" }],
});

export function product(overrides: Partial<ProductInput> = {}): ProductInput {
  return productInput.parse({ name: "A seat", base_price: "10.00", currency: "EUR", ...overrides });
}

export type TestService = Awaited<ReturnType<typeof makeTestService>>;

/** The verbs of a replica, on a database (its own unless given one). Wired as main.ts does it, without Kafka and HTTP. */
export async function makeTestService(options: { database?: TestDatabase; chunkSize?: number; pool?: Pool } = {}) {
  const database = options.database ?? (await makePricingDatabase());
  const pool = options.pool ?? makePool({ url: database.url, max: 8, applicationName: "pricing-test", logger: silent });
  const prefix = makeTestPrefix();
  const publishPrices = makePublishPrices({ prefix, policies: makeCompiledPolicies(), logger: silent });
  // No cache stands beside it: tests of reads say when a marker arrives.
  const markCommitted = async (): Promise<void> => {};
  const deps = { pool, prefix, publishPrices, markCommitted, logger: silent };
  const writeProducts = makeWriteProducts(deps);
  const startRecalculation = makeStartRecalculation(deps, { chunkSize: options.chunkSize ?? 10 });
  const applySettings = makeApplySettings(deps);
  let revision = 0;
  return {
    database,
    ...deps,
    writeProducts,
    putProduct: makePutProduct({ ...deps, writeProducts }),
    getProduct: makeGetProduct(deps),
    deleteProduct: makeDeleteProduct(deps),
    listProducts: makeListProducts(deps),
    publishMarketEvent: makePublishMarketEvent(deps),
    getTask: makeGetTask(deps),
    applyMarketEvent: makeApplyMarketEvent(deps),
    startRecalculation,
    recalculateChunk: makeRecalculateChunk(deps, startRecalculation),
    failTask: makeFailTask(deps, startRecalculation),
    sweepTasks: makeSweepTasks(deps, startRecalculation, { overdueMs: 1 }),
    scheduleRecalculation: makeScheduleRecalculation(deps),
    applySettings,
    /** Puts a policy in force by the next revision of the settings. */
    setPolicy: (policy: Policy) => {
      revision += 1;
      const ttlMs = { demand: 0, competitor_price: 0, stock: 0, cost: 0 };
      return applySettings({ epoch: 1, revision, pricing: { policy, signals: { ttlMs } } });
    },
    async close() {
      await pool.close();
      if (options.database === undefined) await database.drop();
    },
  };
}

export interface PriceRow {
  sequence: number;
  facts_revision: number;
  policy_version: number;
  price_minor: number | null;
  decided_ms: number;
}

export async function readPrice(pool: Pool, productId: string): Promise<PriceRow> {
  const [row] = await pool.sql<PriceRow[]>`
    select sequence::float8 as sequence, facts_revision::float8 as facts_revision, price_minor::float8 as price_minor,
      policy_version::float8 as policy_version, extract(epoch from decided_at)::float8 * 1000 as decided_ms
    from pricing.prices where product_id = ${productId}`;
  if (row === undefined) throw new Error(`${productId} has no price`);
  return row;
}

export interface OutboxMessage {
  sink: string;
  key: string | null;
  payload: string;
}

export function readOutbox(pool: Pool, sink: string): Promise<OutboxMessage[]> {
  return pool.sql<OutboxMessage[]>`
    select sink, key, payload from pricing.outbox where sink = ${sink} order by id`;
}
