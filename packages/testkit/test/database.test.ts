import postgres from "postgres";
import { expect, it } from "vitest";
import { eventually, makeTestDatabase } from "../src/index.ts";

async function withSql<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1 });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

it("clones one template, migrated once, into databases that do not see each other", async () => {
  let migrations = 0;
  const migrate = (url: string) => {
    migrations += 1;
    return withSql(url, (sql) => sql`create table things (id int primary key)`);
  };
  const options = { template: "things", migrate };
  const databases = await Promise.all([
    makeTestDatabase(options),
    makeTestDatabase(options),
    makeTestDatabase(options),
  ]);
  expect(migrations).toBe(1);
  const [first, second] = databases;
  await withSql(first?.url ?? "", (sql) => sql`insert into things values (1)`);
  expect(await withSql(second?.url ?? "", (sql) => sql`select * from things`)).toEqual([]);
  await Promise.all(databases.map((database) => database.drop()));
});

it("replicates", async () => {
  await using database = await makeTestDatabase();
  await withSql(database.url, (sql) => sql`create table things as select 7 as id`);
  const rows = await eventually(() => withSql(database.replicaUrl, (sql) => sql`select id from things`));
  expect(rows).toEqual([{ id: 7 }]);
  await expect(withSql(database.replicaUrl, (sql) => sql`create table more ()`)).rejects.toThrow("read-only");
});

it("reports a connection that was not closed, and drops the database all the same", async () => {
  const database = await makeTestDatabase();
  const leak = postgres(database.url, { max: 1, connection: { application_name: "leaky" }, onclose: () => {} });
  await leak`select 'forgotten'`;
  await expect(database.drop()).rejects.toThrow(/connections still open: "leaky" \(.*forgotten/);
  await expect(withSql(database.url, (sql) => sql`select 1`)).rejects.toThrow("does not exist");
  await leak.end({ timeout: 0 });
});

it("starts over when a migration failed", async () => {
  const template = "fails-at-first";
  const failing = makeTestDatabase({ template, migrate: () => Promise.reject(new Error("bad migration")) });
  await expect(failing).rejects.toThrow("bad migration");
  await using database = await makeTestDatabase({
    template,
    migrate: (url) => withSql(url, (sql) => sql`create table things ()`),
  });
  expect(await withSql(database.url, (sql) => sql`select * from things`)).toEqual([]);
});
