import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runMigrations } from "@pricing-engine/postgres";
import { eventually, makeTestDatabase, type TestDatabase } from "@pricing-engine/testkit";
import postgres, { type Sql } from "postgres";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silent } from "./setup.ts";

let database: TestDatabase;
let folder: string;
let sql: Sql;

beforeEach(async () => {
  database = await makeTestDatabase();
  folder = await mkdtemp(join(tmpdir(), "migrations-"));
  await mkdir(join(folder, "meta"));
  sql = postgres(database.url, { max: 2, onnotice: () => undefined });
});

afterEach(async () => {
  await sql.end();
  await rm(folder, { recursive: true });
  await database.drop();
});

async function writeMigrations(...files: { tag: string; when: number; text: string }[]): Promise<void> {
  const entries = files.map(({ tag, when }, idx) => ({ idx, version: "7", when, tag, breakpoints: true }));
  await writeFile(join(folder, "meta/_journal.json"), JSON.stringify({ version: "7", dialect: "postgresql", entries }));
  for (const { tag, text } of files) {
    await writeFile(join(folder, `${tag}.sql`), text);
  }
}

const first = { tag: "0000_first", when: 1000, text: "create table shop.a (n int); insert into shop.a values (1)" };
const second = { tag: "0001_second", when: 2000, text: "select pg_sleep(0.3); insert into shop.a values (2)" };
const run = (options: { waitMs?: number; lockTimeoutMs?: number } = {}) =>
  runMigrations({ url: database.url, folder, schema: "shop", logger: silent, ...options });

describe("runMigrations", () => {
  it("applies what is new, once", async () => {
    await writeMigrations(first);
    expect(await run()).toEqual({ applied: 1 });
    await writeMigrations(first, second);
    expect(await run()).toEqual({ applied: 1 });
    expect(await run()).toEqual({ applied: 0 });
    expect(await sql`select n from shop.a order by n`).toEqual([{ n: 1 }, { n: 2 }]);
  });

  it("lets one of several processes work and the others wait", async () => {
    await writeMigrations(first, second);
    const results = await Promise.all([run(), run(), run()]);
    expect(results.map(({ applied }) => applied).toSorted()).toEqual([0, 0, 2]);
    expect(await sql`select n from shop.a order by n`).toEqual([{ n: 1 }, { n: 2 }]);
  });

  it("applies all or nothing", async () => {
    await writeMigrations(first, { ...second, text: "insert into shop.missing values (2)" });
    await expect(run()).rejects.toThrow();
    expect(await sql`select to_regclass('shop.a') as a`).toEqual([{ a: null }]);
    await writeMigrations(first, second);
    expect(await run()).toEqual({ applied: 2 });
  });

  it.each([
    { what: "shrank", files: [first] },
    { what: "edited", files: [first, { ...second, text: "select 3" }] },
    { what: "reordered", files: [first, { ...second, when: 3000 }] },
    { what: "not later", files: [first, second, { tag: "0002_third", when: 1500, text: "select 1" }] },
  ])("refuses a journal that is $what", async ({ what, files }) => {
    await writeMigrations(first, second);
    await run();
    await writeMigrations(...files);
    await expect(run()).rejects.toMatchObject({
      code: "migrations_refused",
      detail: expect.stringContaining(what) as string,
    });
  });

  it("says what it waited for when a lock is not to be had, and gets it when it is free in time", async () => {
    await writeMigrations(first);
    await run();
    await writeMigrations(first, { ...second, text: "alter table shop.a add column m int" });
    const reader = await sql.reserve();
    await reader`begin`;
    await reader`select * from shop.a`;
    await expect(run({ lockTimeoutMs: 50 })).rejects.toMatchObject({ code: "migrations_locked" });
    const waiting = run({ lockTimeoutMs: 3000 });
    await reader`commit`;
    reader.release();
    expect(await waiting).toEqual({ applied: 1 });
  });

  it("gives up waiting for another process that does not finish", async () => {
    await writeMigrations(first, { ...second, text: "select pg_advisory_xact_lock(42)" });
    const gate = await sql.reserve();
    await gate`select pg_advisory_lock(42)`;
    const slow = run({ lockTimeoutMs: 30_000 });
    try {
      // From here on it holds the lock of all who migrate, and cannot finish before the gate opens.
      await eventually(async () => {
        const waiting = await sql`
          select from pg_locks where locktype = 'advisory' and objid = 42 and not granted
            and database = (select oid from pg_database where datname = current_database())`;
        expect(waiting).toHaveLength(1);
      });
      await expect(run({ waitMs: 200 })).rejects.toMatchObject({ code: "migrations_locked" });
    } finally {
      await gate`select pg_advisory_unlock(42)`;
      gate.release();
      expect(await slow).toEqual({ applied: 2 });
    }
  });
});
