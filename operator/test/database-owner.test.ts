import { makePool, type Pool } from "@pricing-engine/postgres";
import { makeTestDatabase, type TestDatabase } from "@pricing-engine/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { claimDatabase, makeOwnDatabase } from "../src/adapters/database-owner.ts";

const silent = { warn: () => undefined, info: () => undefined, debug: () => undefined };
let database: TestDatabase;
let pools: Pool[];

function open(url: string): Pool {
  const pool = makePool({ url, max: 4, applicationName: "owner-test", logger: silent });
  pools.push(pool);
  return pool;
}

beforeEach(async () => {
  database = await makeTestDatabase();
  pools = [];
});
afterEach(async () => {
  for (const pool of pools) await pool.close();
  await database[Symbol.asyncDispose]();
});

test("of several engines at once one gets the database, and keeps it", async () => {
  const pool = open(database.url);
  const names = ["default/shop", "default/two", "other/shop"];
  const [owner, ...others] = await Promise.all(names.map((name) => claimDatabase(pool, name)));
  expect(names).toContain(owner);
  expect(others).toEqual([owner, owner]);
  expect(await claimDatabase(pool, "default/late")).toBe(owner);
});

test("an engine's own database is made once, and is nobody else's", async () => {
  const pool = open(database.url);
  // Unique, since the server outlives this test.
  const engine = `default/${database.url.split("/").at(-1)?.replaceAll("_", "-") ?? ""}`;
  const name = await makeOwnDatabase(pool, engine);
  expect(await makeOwnDatabase(pool, engine)).toBe(name);
  expect(await makeOwnDatabase(pool, `${engine}-2`)).not.toBe(name);
  const url = Object.assign(new URL(database.url), { pathname: `/${name}` }).href;
  expect(await claimDatabase(open(url), engine)).toBe(engine);
});
