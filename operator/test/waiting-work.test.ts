import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { engineSettingsSchema } from "@pricing-engine/contracts";
import { makePool, type Pool } from "@pricing-engine/postgres";
import { makeTestDatabase, type TestDatabase } from "@pricing-engine/testkit";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { countForReview, countWaiting } from "../src/adapters/waiting-work.ts";
import type { Role } from "../src/core/plan.ts";

/* On the services' own tables: a column that is renamed there would strand a sleeping role here. */
const services = ["pricing", "ingest", "payment", "orders"] as const;
const silent = { warn: () => undefined, info: () => undefined, debug: () => undefined };
let database: TestDatabase;
let pool: Pool;
let sql: Sql;

beforeAll(async () => {
  database = await makeTestDatabase();
  for (const service of services) {
    const entry = fileURLToPath(new URL(`../../services/${service}/src/main.ts`, import.meta.url));
    const env = { PATH: process.env.PATH, POSTGRES_URL: database.url };
    await promisify(execFile)(process.execPath, [entry, "migrate"], { env, timeout: 60_000 });
  }
  pool = makePool({ url: database.url, max: 2, applicationName: "waiting-work-test", logger: silent });
  sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  for (const table of ["payment.payments", "orders.orders"]) {
    await sql.unsafe(`create table ${table}_all partition of ${table} for values from (minvalue) to (maxvalue)`);
  }
});
afterAll(async () => {
  await Promise.all([pool?.close(), sql?.end({ timeout: 1 })]);
  await database?.drop();
});

const count = (role: Role, recalculateEveryMs = 0) =>
  countWaiting(pool, role, engineSettingsSchema.parse({ pricing: { recalculateEveryMs } }));

it.each([
  ["pricing-worker", "pricing"],
  ["ingest-worker", "ingest"],
  ["payment-worker", "payment"],
  ["orders-payment", "orders"],
] as const)("%s: rows of its outbox that were not given up", async (role, schema) => {
  expect(await count(role)).toBe(0);
  const row = { bucket: 0, sink: "kafka", aggregate: "a", topic: "t", payload: "{}" };
  await sql`insert into ${sql(schema)}.outbox ${sql([row, { ...row, aggregate: "b" }])}`;
  await sql`update ${sql(schema)}.outbox set parked_at = now() where aggregate = 'b'`;
  expect(await count(role)).toBe(1);
  await sql`delete from ${sql(schema)}.outbox`;
  expect(await count(role)).toBe(0);
});

it("pricing: open tasks, and a recalculation of everything that is due", async () => {
  const hourMs = 3_600_000;
  expect([await count("pricing-worker"), await count("pricing-worker", hourMs)]).toEqual([0, 1]);
  await sql`insert into pricing.tasks (task_id, type, origin, message) values (${randomUUID()}, 'recalculate', 'api', '{}')`;
  expect(await count("pricing-worker", hourMs)).toBe(1);
  await sql`update pricing.tasks set status = 'succeeded', finished_at = now()`;
  expect(await count("pricing-worker", hourMs)).toBe(0);
  await sql`update pricing.tasks set created_at = now() - interval '61 minutes'`;
  expect([await count("pricing-worker", hourMs), await count("pricing-worker", 2 * hourMs)]).toEqual([1, 0]);
});

it("payments: those that are open, and refunds that are asked for", async () => {
  const row = {
    source: "api",
    created_at: new Date(),
    topic_partition: 0,
    amount_minor: 1,
    accepted_at_ms: 1,
    processor: "default",
    requested_at_ms: 1,
    version: 1,
  };
  const states = ["waiting", "sending", "unknown", "settled", "cancelled", "expired"];
  await sql`insert into payment.payments ${sql(states.map((state) => ({ ...row, state, correlation_id: randomUUID() })))}`;
  expect(await count("payment-worker")).toBe(3);
  await sql`update payment.payments set state = 'settled'`;
  expect(await count("payment-worker")).toBe(0);
  await sql`update payment.payments set refund = 'manual_review'`;
  expect(await count("payment-worker")).toBe(0);
  await sql`update payment.payments set refund = 'requested'`;
  expect(await count("payment-worker")).toBe(6);
  expect(await countForReview(pool)).toBe(0);
  const [differing, unrefunded] = await sql<{ correlation_id: string }[]>`select correlation_id from payment.payments`;
  await sql`update payment.payments set review = 'it differs' where correlation_id = ${differing?.correlation_id ?? ""}`;
  await sql`
    update payment.payments set refund = 'manual_review' where correlation_id = ${unrefunded?.correlation_id ?? ""}`;
  expect(await countForReview(pool)).toBe(2);
});

it("orders: those that are overdue", async () => {
  const order = (overdueAt: Date | null) => ({
    order_id: randomUUID(),
    created_at: new Date(),
    tenant_id: "t",
    customer_id: "c",
    idempotency_key: randomUUID(),
    currency: "EUR",
    total_minor: 1,
    amount_minor: 1,
    payment_id: randomUUID(),
    status: "placed",
    overdue_at: overdueAt,
    traceparent: "",
    updated_at: new Date(),
  });
  const at = (seconds: number) => new Date(Date.now() + seconds * 1000);
  await sql`insert into orders.orders ${sql([order(null), order(at(-60)), order(at(600))])}`;
  expect(await count("orders-payment")).toBe(1);
});

it("other roles have nothing beside their messages", async () => {
  expect(await Promise.all((["orders-inventory", "orders-fulfillment"] as const).map((role) => count(role)))).toEqual([
    0, 0,
  ]);
});
