/**
 * One engine a database: two that wrote into the same tables would price each other's products. The first one to come
 * leaves its name there.
 */
import { createHash } from "node:crypto";
import { type Pool, type Sql, withSession } from "@pricing-engine/postgres";

const deadlineMs = 15_000;

/** Makes the engine the owner of the database that has none. Returns whose it is. */
export function claimDatabase(pool: Pool, engine: string): Promise<string> {
  return withSession(pool, deadlineMs, async (sql) => {
    // Of two that come at once, one makes the table.
    await sql`select pg_advisory_lock(hashtext('pricing-engine'), hashtext('owner'))`;
    if (!(await exists(sql))) {
      await sql.unsafe(`
        create schema if not exists operator;
        create table operator.owner (
          one boolean primary key default true check (one),
          engine text not null,
          claimed_at timestamptz not null default now()
        )`);
    }
    await sql`insert into operator.owner (engine) values (${engine}) on conflict do nothing`;
    const [owner] = await sql<{ engine: string }[]>`select engine from operator.owner`;
    return owner?.engine ?? engine;
  });
}

/** Makes a database of the engine's own on the same server, unless it is there. Returns its name. */
export async function makeOwnDatabase(pool: Pool, engine: string): Promise<string> {
  const name = databaseName(engine);
  await withSession(pool, deadlineMs, async (sql) => {
    await sql`select pg_advisory_lock(hashtext('pricing-engine'), hashtext('database'))`;
    const found = await sql`select 1 from pg_database where datname = ${name}`;
    if (found.length === 0) await sql`create database ${sql(name)}`;
  });
  return name;
}

async function exists(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ found: boolean }[]>`select to_regclass('operator.owner') is not null as found`;
  return row?.found ?? false;
}

/** Within Postgres' 63 bytes, and never the same for two engines. */
function databaseName(engine: string): string {
  const hash = createHash("sha256").update(engine).digest("hex").slice(0, 10);
  return `engine_${engine.replaceAll(/[^a-z0-9]/g, "_").slice(0, 40)}_${hash}`;
}
