import { setTimeout as delay } from "node:timers/promises";
import { makePool, type Pool } from "@pricing-engine/postgres";
import { eventually, makeTestDatabase, type TestDatabase } from "@pricing-engine/testkit";
import postgres, { type Sql } from "postgres";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { observePartitions, type PartitionOptions, runPartitions } from "../src/adapters/partitions.ts";
import type { PartitionAction, PartitionSpec } from "../src/core/partitions.ts";

const table = { schema: "pricing", name: "price_history", column: "at" };
const nowMs = Date.UTC(2026, 10, 20, 14);
const graceMs = 86_400_000;
const spec: PartitionSpec = { premakeMonths: 3, retention: { keepMonths: 2, action: "drop", graceMs } };
const silent = { warn: () => undefined, info: () => undefined, debug: () => undefined };

let database: TestDatabase;
let pool: Pool;
let sql: Sql;

beforeEach(async () => {
  database = await makeTestDatabase({
    template: "operator_partitions",
    migrate: async (url) => {
      const admin = postgres(url, { max: 1 });
      await admin.unsafe(`
        create schema pricing;
        create table pricing.products (id text primary key);
        insert into pricing.products values ('p1');
        create table pricing.price_history (
          id bigint generated always as identity, product text not null references pricing.products, at timestamptz not null,
          amount bigint not null check (amount >= 0), primary key (id, at)
        ) partition by range (at);
        create index on pricing.price_history (product, at)`);
      await admin.end();
    },
  });
  pool = makePool({ url: database.url, max: 4, applicationName: "partitions-test", logger: silent });
  sql = postgres(database.url, { max: 4, onnotice: () => undefined });
});

afterEach(async () => {
  await Promise.all([pool.close(), sql.end({ timeout: 1 })]);
  await database.drop();
});

const run = (atMs = nowMs, own: PartitionSpec = spec, options: PartitionOptions = {}) =>
  runPartitions(pool, [table], own, () => atMs, { lockTimeoutMs: 500, ...options });

async function observe(): Promise<string[]> {
  const utc = postgres(database.url, { max: 1, connection: { TimeZone: "UTC" } });
  try {
    const found = await observePartitions(utc, table);
    return found.map(({ name, state, mark }) => `${name.slice("price_history_".length)} ${state} ${mark.kind}`);
  } finally {
    await utc.end();
  }
}

const insert = (at: string) => sql`insert into pricing.price_history (product, at, amount) values ('p1', ${at}, 1990)`;

/** Notes what a setting is in the sessions that change tables, since no session can see another's. Returns what was seen. */
async function watchSetting(setting: string): Promise<() => Promise<string[]>> {
  await sql.unsafe(`
    create table seen (value text);
    create function note_setting() returns event_trigger language plpgsql as $$
      begin
        insert into public.seen values (current_setting('${setting}'));
      end $$;
    create event trigger note_setting on ddl_command_end execute function note_setting()`);
  return async () => (await sql<{ value: string }[]>`select distinct value from seen`).map(({ value }) => value);
}

/** Months of half a year ago, as runs of that time made them. */
const makeOldMonths = () => run(Date.UTC(2026, 5, 10), { premakeMonths: 4 });

const ahead = ["2026_11", "2026_12", "2027_01", "2027_02"].map((name) => `${name} attached attached`);
const kept = ["2026_09", "2026_10"].map((name) => `${name} attached attached`);
const detached = ["2026_06", "2026_07", "2026_08"].map((name) => `${name} standalone detached`);

describe("runPartitions", () => {
  it("makes the months ahead, with everything that the parent has, and then has nothing to do", async () => {
    const [report] = await run();
    expect(report).toMatchObject({ failures: [], problems: [], aheadUntilMs: Date.UTC(2027, 2, 1), months: 4 });
    expect(await observe()).toEqual(ahead);
    await insert("2026-11-30 23:59:59.999999+00");
    await insert("2026-12-01 00:00:00+00");
    await insert("2027-02-28 23:00:00+00");
    expect(await sql`select tableoid::regclass::text as t, id::int from pricing.price_history order by id`).toEqual([
      { t: "pricing.price_history_2026_11", id: 1 },
      { t: "pricing.price_history_2026_12", id: 2 },
      { t: "pricing.price_history_2027_02", id: 3 },
    ]);
    await expect(insert("2027-03-01 00:00:00+00")).rejects.toMatchObject({ code: "23514" });
    const [indexes] = await sql`
      select count(*)::int as n from pg_index where indrelid = 'pricing.price_history_2026_11'::regclass`;
    expect(indexes).toEqual({ n: 2 });
    const checks = await sql`
      select 1 from pg_constraint where conname = 'pricing_engine_partition_bounds'`;
    expect(checks).toEqual([]);
    expect((await run())[0]?.applied).toEqual([]);
  });

  it("detaches what is too old, keeps it for the grace period, then drops it", async () => {
    await makeOldMonths();
    await insert("2026-06-15 00:00:00+00");
    await run();
    expect(await observe()).toEqual([...detached, ...kept, ...ahead]);
    expect(await sql`select 1 from pricing.price_history_2026_06`).toHaveLength(1);
    await run(nowMs + graceMs - 1);
    expect(await observe()).toEqual([...detached, ...kept, ...ahead]);
    await run(nowMs + graceMs);
    expect(await observe()).toEqual([...kept, ...ahead]);
  });

  it("finishes on a rerun, killed after each step in turn", async () => {
    await makeOldMonths();
    let survived = 0;
    for (; ; survived += 1) {
      const done: PartitionAction[] = [];
      const killed = run(nowMs, spec, {
        afterAction(action) {
          done.push(action);
          if (done.length > 0) {
            throw new Error("killed");
          }
        },
      });
      const outcome = await killed.then(
        () => "finished",
        (error: Error) => error.message,
      );
      if (outcome === "finished") {
        break;
      }
      expect(outcome).toBe("killed");
      expect(survived).toBeLessThan(50);
    }
    expect(survived).toBe(14);
    expect(await observe()).toEqual([...detached, ...kept, ...ahead]);
  });

  it("finishes what pg_terminate_backend broke off in the middle of an ATTACH and of a DETACH", async () => {
    await makeOldMonths();
    // A reader of the partition that is to be detached: DETACH CONCURRENTLY waits for it, and is killed while waiting.
    const reader = await sql.reserve();
    await reader`begin`;
    await reader`select * from pricing.price_history where at < '2026-07-01'`;
    const killed = run(nowMs, spec, { lockTimeoutMs: 30_000 });
    killed.catch(() => undefined);
    await eventually(async () => {
      const [waiting] = await sql<{ pid: number }[]>`
        select pid from pg_stat_activity
        where datname = current_database() and query ilike '%detach partition%concurrently' and wait_event_type = 'Lock'`;
      expect(waiting).toBeDefined();
      await sql`select pg_terminate_backend(${waiting?.pid ?? 0})`;
    });
    await expect(killed).rejects.toMatchObject({ code: "postgres_unavailable" });
    await reader`commit`;
    reader.release();
    expect(await observe()).toContain("2026_06 pending detaching");
    const [report] = await run();
    expect(report?.applied[0]).toEqual({ kind: "finalize", name: "price_history_2026_06" });
    expect(await observe()).toEqual([...detached, ...kept, ...ahead]);
  });

  it("shares the work with a second runner", async () => {
    await makeOldMonths();
    const other = makePool({ url: database.url, max: 2, applicationName: "partitions-test-2", logger: silent });
    try {
      const reports = await Promise.all([run(), runPartitions(other, [table], spec, () => nowMs)]);
      const applied = reports.flatMap(([report]) => report?.applied ?? []);
      expect(applied).toHaveLength(14);
      expect(reports.flatMap(([report]) => report?.failures ?? [])).toEqual([]);
      expect(await observe()).toEqual([...detached, ...kept, ...ahead]);
    } finally {
      await other.close();
    }
  });

  it("gives way to a second runner within ten seconds when it is paused, and changes nothing when it wakes", async () => {
    const silence = await watchSetting("idle_session_timeout");
    const woken = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    // As the server sees a paused process: the connection stands, and nothing comes.
    const paused = run(nowMs, spec, {
      afterAction() {
        reached.resolve();
        return woken.promise;
      },
    });
    await reached.promise;
    const second = run();
    let isOver = false;
    second.finally(() => (isOver = true)).catch(() => undefined);
    // For how long whoever has the turn has begun nothing, by the server's clock as it was before it looked: a look may be late.
    let silentMs = 0;
    await eventually(
      async () => {
        const rows = await sql<{ ms: number }[]>`
          select extract(epoch from statement_timestamp() - state_change)::float8 * 1000 as ms
          from pg_locks join pg_stat_activity using (pid)
          where locktype = 'advisory' and granted and datname = current_database()`;
        silentMs = Math.max(silentMs, ...rows.map(({ ms }) => ms));
        return isOver;
      },
      { timeoutMs: 100_000 },
    );
    const [report] = await second;
    expect(silentMs).toBeGreaterThan(0);
    expect(silentMs).toBeLessThan(12_000);
    expect(await silence()).toEqual(["10s"]);
    expect(report).toMatchObject({ failures: [], months: 4 });
    const before = await observe();
    woken.resolve();
    await expect(paused).rejects.toMatchObject({ code: "postgres_unavailable" });
    expect(await observe()).toEqual(before);
  });

  it("never blocks writers longer than the lock time-out, and retries what it could not get", async () => {
    await makeOldMonths();
    const lockTimeoutMs = 400;
    const timeOuts = await watchSetting("lock_timeout");
    // Holds what ATTACH needs (its foreign key locks the products), longer than one try.
    const blocker = await sql.reserve();
    await blocker`begin`;
    await blocker`lock table pricing.products in row exclusive mode`;
    const stop = new AbortController();
    let written = 0;
    const write = async (): Promise<void> => {
      while (!stop.signal.aborted) {
        await insert("2026-10-31 12:00:00+00");
        await sql`insert into pricing.products values (gen_random_uuid()::text)`;
        written += 1;
        await delay(1);
      }
    };
    const writers = Promise.all([write(), write()]);
    // Tried for as long as it takes to see what is to be seen.
    const running = run(nowMs, spec, { lockTimeoutMs, lockAttempts: 100 });
    let isOver = false;
    running.finally(() => (isOver = true)).catch(() => undefined);

    // Waits for locks, by the server's clock as it was before it looked: a look may be late.
    const tries = new Set<string>();
    const longestMs = { ddl: 0, writer: 0 };
    const look = async (): Promise<void> => {
      const waits = await sql<{ kind: "ddl" | "writer"; since: string; ms: number }[]>`
        select case application_name when 'partitions-test' then 'ddl' else 'writer' end as kind,
          waitstart::text as since, extract(epoch from statement_timestamp() - waitstart)::float8 * 1000 as ms
        from pg_locks join pg_stat_activity using (pid)
        where not granted and waitstart is not null and datname = current_database()`;
      for (const { kind, since, ms } of waits) {
        longestMs[kind] = Math.max(longestMs[kind], ms);
        if (kind === "ddl") tries.add(since);
      }
    };
    let isBlocked = true;
    await eventually(
      async () => {
        await look();
        const hasRetried = tries.size > 1 && written > 10;
        if (isBlocked && (hasRetried || isOver || longestMs.ddl > 2 * lockTimeoutMs)) {
          isBlocked = false;
          await blocker`commit`;
        }
        return isOver;
      },
      { timeoutMs: 100_000, intervalMs: 10 },
    );
    stop.abort();
    const [report] = await running;
    await writers;
    blocker.release();
    expect(report).toMatchObject({ failures: [], aheadUntilMs: Date.UTC(2027, 2, 1) });
    expect(await timeOuts()).toEqual([`${lockTimeoutMs}ms`]);
    // A writer stands behind DDL for as long as that waits, and then works.
    expect(longestMs.ddl).toBeLessThan(lockTimeoutMs + 300);
    expect(longestMs.writer).toBeLessThan(lockTimeoutMs + 300);
    expect(tries.size).toBeGreaterThan(1);
    expect(written).toBeGreaterThan(10);
  });

  it("reports what it could not do and does the rest", async () => {
    await makeOldMonths();
    const reader = await sql.reserve();
    await reader`begin`;
    await reader`select * from pricing.price_history_2026_06`;
    const [report] = await run(nowMs, spec, { lockTimeoutMs: 100, lockAttempts: 1 });
    await reader`commit`;
    reader.release();
    expect(report?.failures.map(({ action }) => action.name)).toContain("price_history_2026_06");
    expect(report?.aheadUntilMs).toBe(Date.UTC(2027, 2, 1));
    await run();
    expect(await observe()).toEqual([...detached, ...kept, ...ahead]);
  });

  it("refuses a table that is not partitioned", async () => {
    const plain = { schema: "pricing", name: "products", column: "at" };
    await expect(runPartitions(pool, [plain], spec, () => nowMs)).rejects.toMatchObject({ code: "not_found" });
  });
});
