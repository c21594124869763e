import { createHash, randomBytes } from "node:crypto";
import postgres from "postgres";
import { eventually } from "./eventually.ts";
import { infra, runId } from "./infra.ts";

export interface TestDatabaseOptions {
  /** Names the template; databases with the same name in one run are clones of one migrated template. */
  readonly template?: string;
  /** Fills the template, once per run. Must close its connections. Without it the database is empty. */
  readonly migrate?: (url: string) => Promise<unknown>;
}

export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
  /** The same database on the streaming replica (it arrives there a moment later). */
  readonly replicaUrl: string;
  /** Drops it. Throws when a connection to it is still open: somebody forgot to close a pool. */
  drop(): Promise<void>;
}

/** An own database on the run's Postgres; cloning a template costs some 50 ms whatever its migrations cost. */
export async function makeTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const name = `t_${runId()}_${randomBytes(5).toString("hex")}`;
  const { template, migrate } = options;
  if (template === undefined) {
    await administer(async (sql) => sql.unsafe(`create database ${name}`));
    await migrate?.(urlOf(infra().postgresUrl, name));
  } else {
    const source = await ensureTemplate(template, migrate);
    await administer(async (sql) => sql.unsafe(`create database ${name} template ${source}`));
  }
  let dropped: Promise<void> | undefined;
  const drop = (): Promise<void> => {
    dropped ??= dropDatabase(name);
    return dropped;
  };
  return {
    name,
    url: urlOf(infra().postgresUrl, name),
    replicaUrl: urlOf(infra().postgresReplicaUrl, name),
    drop,
    [Symbol.asyncDispose]: drop,
  };
}

/** Test processes of one run meet here: the first one makes the template, the others wait for its lock. */
async function ensureTemplate(template: string, migrate: TestDatabaseOptions["migrate"]): Promise<string> {
  const name = `t_${runId()}_tpl_${createHash("sha256").update(template).digest("hex").slice(0, 16)}`;
  await administer(async (sql) => {
    await sql`select pg_advisory_lock(hashtextextended(${name}, 0))`;
    const [existing] = await sql`select 1 from pg_database where datname = ${name}`;
    if (existing) return;
    // Renamed when whole: a failed migration is met again by the next test instead of half a schema.
    const fresh = `${name}_new`;
    await sql.unsafe(`drop database if exists ${fresh} with (force)`);
    await sql.unsafe(`create database ${fresh}`);
    await migrate?.(urlOf(infra().postgresUrl, fresh));
    await eventually(() => sql.unsafe(`alter database ${fresh} rename to ${name}`), { timeoutMs: 5_000 });
  });
  return name;
}

async function dropDatabase(name: string): Promise<void> {
  await administer(async (sql) => {
    const findSessions = () => sql<{ application_name: string; query: string }[]>`
      select application_name, left(query, 120) as query from pg_stat_activity where datname = ${name}`;
    // The backends of a closed pool take a moment to go.
    const patience = { timeoutMs: 3_000 };
    await eventually(async () => (await findSessions()).length === 0, patience).catch(() => undefined);
    const leaked = await findSessions();
    await sql.unsafe(`drop database ${name} with (force)`);
    if (leaked.length > 0) {
      const sessions = leaked.map((session) => `"${session.application_name}" (${session.query.trim()})`);
      throw new Error(`${name} was dropped with connections still open: ${sessions.join(", ")}`);
    }
  });
}

/** Drops what the run left on a server it shares with others. Resolves to the databases that a test forgot. */
export async function dropLeftovers(adminUrl: string, run: string): Promise<string[]> {
  const sql = connect(adminUrl);
  try {
    const rows = await sql<{ datname: string }[]>`
      select datname from pg_database where starts_with(datname, ${`t_${run}_`})`;
    for (const { datname } of rows) await sql.unsafe(`drop database if exists ${datname} with (force)`);
    return rows.map(({ datname }) => datname).filter((name) => !name.startsWith(`t_${run}_tpl_`));
  } finally {
    await sql.end();
  }
}

async function administer<T>(work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = connect(infra().postgresUrl);
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

function connect(url: string): postgres.Sql {
  return postgres(url, { max: 1, onnotice: () => {}, connection: { application_name: "testkit" } });
}

function urlOf(adminUrl: string, name: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}
