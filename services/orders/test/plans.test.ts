import { keyedPlans, makePool, type Pool, query, withTransaction } from "@pricing-engine/postgres";
import { eventually, type TestDatabase } from "@pricing-engine/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimKeys, findKeys } from "../src/adapters/idempotency-store.ts";
import { makeEngineDatabase, silent } from "./support/database.ts";

const keys = 5_000;
const refOf = (index: number) => ({ tenantId: "shop", key: `key-${index}` });

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await makeEngineDatabase();
  pool = makePool({ url: keyedPlans(database.url), max: 2, applicationName: "orders-test", logger: silent });
});
afterAll(async () => {
  await pool.close();
  await database.drop();
});

it("looks keys up by their index, although the plan was made while there were none", async () => {
  const find = (index: number) => query(pool, 5_000, (on) => findKeys(on, [refOf(index)]));
  const scans = async () => {
    const [row] = await pool.sql<{ whole: number; byIndex: number }[]>`
      select seq_scan::int as whole, idx_scan::int as "byIndex" from pg_stat_user_tables
      where schemaname = 'orders' and relname = 'idempotency_keys'`;
    if (row === undefined) throw new Error("no statistics of the table");
    return row;
  };
  // More often than a plan for any parameters takes to be made and kept.
  for (let index = 0; index < 12; index += 1) await find(index);
  const claims = Array.from({ length: keys }, (_, index) => ({
    ...refOf(index),
    bodyHash: "hash",
    orderId: `order-${index}`,
    answer: "{}",
  }));
  await withTransaction(pool, (tx) => claimKeys(tx, claims, 60_000), { deadlineMs: 10_000 });
  const before = await scans();
  for (let index = 0; index < 50; index += 1) expect((await find(index)).size).toBe(1);
  // A session tells its counts when it is idle.
  const after = await eventually(
    async () => {
      const now = await scans();
      if (now.byIndex + now.whole < before.byIndex + before.whole + 50) throw new Error("not counted yet");
      return now;
    },
    { timeoutMs: 20_000 },
  );
  expect(after.whole).toBe(before.whole);
});
