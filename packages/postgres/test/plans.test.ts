import { keyedPlans, query } from "@pricing-engine/postgres";
import type { TestDatabase } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeShopDatabase, makeTestPool } from "./setup.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await makeShopDatabase();
});
afterAll(() => database.drop());

describe("keyedPlans", () => {
  it("reads by the index, and compiles nothing where a table has to be read whole", async () => {
    await using pool = disposable(makeTestPool(keyedPlans(database.url)));
    const explain = async (statement: string): Promise<string> => {
      const rows = await query(pool.pool, 5_000, ({ sql }) => sql.unsafe(`explain (analyze, timing off) ${statement}`));
      return rows.map((row) => String(row["QUERY PLAN"])).join("\n");
    };
    expect(await explain("select * from shop.counters where id = 'one'")).toMatch(/Index (Only )?Scan/);
    const whole = await explain("select count(*) from shop.counters where value > 3");
    expect(whole).toContain("Seq Scan");
    // A plan that is forbidden costs more than what the server would compile for.
    expect(whole).not.toContain("JIT");
  });
});

function disposable(pool: ReturnType<typeof makeTestPool>) {
  return { pool, [Symbol.asyncDispose]: () => pool.close() };
}
