import { setTimeout as delay } from "node:timers/promises";
import { AppError, assertNever } from "@pricing-engine/chassis/errors";
import type { Logger } from "@pricing-engine/chassis/log";
import { isLockTimeout, isPostgresOutage, type Pool, type Sql, withSession } from "@pricing-engine/postgres";
import { ExponentialBackoff, handleWhen, retry } from "cockatiel";
import {
  type ObservedPartition,
  type PartitionAction,
  type PartitionedTable,
  type PartitionMark,
  type PartitionProblem,
  type PartitionSpec,
  planPartitions,
} from "../core/partitions.ts";

export interface PartitionOptions {
  logger?: Pick<Logger, "info" | "warn">;
  /** The longest that DDL, and so a writer behind it, waits for a lock. Default 3 s. */
  lockTimeoutMs?: number;
  /** Tries of one action that does not get its lock. Default 5. */
  lockAttempts?: number;
  /** For one table, with the wait for another runner. Default 2 min. */
  deadlineMs?: number;
  /** Called after each statement that changes something; what it throws ends the run. For tests that kill it there. */
  afterAction?: (action: PartitionAction) => void | Promise<void>;
}

export interface PartitionReport {
  table: string;
  applied: PartitionAction[];
  failures: { action: PartitionAction; error: unknown }[];
  problems: PartitionProblem[];
  /** Until when (epoch ms, exclusive) rows from now on have a partition. */
  aheadUntilMs: number | undefined;
  /** Attached months, for the status. */
  months: number;
}

/**
 * Observes, plans and applies, table by table, under an advisory lock per table. Safe at any time, by any number of
 * runners, after any crash. Failing actions do not keep the others from being tried; they are in the report.
 *
 * @throws AppError `postgres_unavailable` on an outage. RangeError for a spec that makes no sense.
 */
export async function runPartitions(
  pool: Pool,
  tables: readonly PartitionedTable[],
  spec: PartitionSpec,
  now: () => number,
  options: PartitionOptions = {},
): Promise<PartitionReport[]> {
  const reports: PartitionReport[] = [];
  for (const table of tables) {
    const deadlineMs = options.deadlineMs ?? 120_000;
    reports.push(await withSession(pool, deadlineMs, (sql) => runTable(sql, table, spec, now, options)));
  }
  return reports;
}

async function runTable(
  sql: Sql,
  table: PartitionedTable,
  spec: PartitionSpec,
  now: () => number,
  options: PartitionOptions,
): Promise<PartitionReport> {
  // A session that is destroyed afterwards: neither the settings nor the lock outlive the run.
  await sql.unsafe(`set statement_timeout = 0; set lock_timeout = ${options.lockTimeoutMs ?? 3000}`);
  await waitForTurn(sql, table);
  const report: PartitionReport = {
    table: `${table.schema}.${table.name}`,
    applied: [],
    failures: [],
    problems: [],
    aheadUntilMs: undefined,
    months: 0,
  };
  const nowMs = now();
  const plan = planPartitions({ nowMs, table, existing: await observePartitions(sql, table), spec });
  const locked = retry(handleWhen(isLockTimeout), {
    maxAttempts: (options.lockAttempts ?? 5) - 1,
    backoff: new ExponentialBackoff({ initialDelay: 250, maxDelay: 5000 }),
  });
  const failed = new Set<string>();
  for (const action of plan.actions) {
    if (failed.has(action.name)) {
      // It stands on the step that failed.
      continue;
    }
    try {
      await locked.execute(() => applyPartitionAction(sql, table, action));
      report.applied.push(action);
      options.logger?.info({ table: report.table, ...action }, "partition changed");
    } catch (error) {
      if (isPostgresOutage(error)) {
        throw error;
      }
      failed.add(action.name);
      report.failures.push({ action, error });
      options.logger?.warn({ table: report.table, ...action, err: error }, "partition not changed");
      continue;
    }
    await options.afterAction?.(action);
  }
  const existing = await observePartitions(sql, table);
  const result = planPartitions({ nowMs, table, existing, spec });
  return {
    ...report,
    problems: result.problems,
    aheadUntilMs: result.aheadUntilMs,
    months: existing.filter(({ state }) => state === "attached").length,
  };
}

/** Polls: a session that waits inside pg_advisory_lock has a transaction, for which DETACH CONCURRENTLY could wait in turn. */
async function waitForTurn(sql: Sql, table: PartitionedTable): Promise<void> {
  const key = `partitions.${table.schema}.${table.name}`;
  for (;;) {
    const [row] = await sql<{ free: boolean }[]>`select pg_try_advisory_lock(hashtextextended(${key}, 0)) as free`;
    if (row?.free === true) {
      return;
    }
    await delay(100 + Math.random() * 200);
  }
}

const marks = { created: "created", attached: "attached", detaching: "detaching", detached: "detached" } as const;
const markPrefix = "pricing-engine partition: ";

function parseMark(comment: string | null): PartitionMark {
  const [word, at] = comment?.startsWith(markPrefix) ? comment.slice(markPrefix.length).split(" ") : [];
  switch (word) {
    case marks.created:
    case marks.attached:
    case marks.detaching:
      return { kind: word };
    case marks.detached: {
      const atMs = Date.parse(at ?? "");
      return Number.isNaN(atMs) ? { kind: "none" } : { kind: "detached", atMs };
    }
    default:
      return { kind: "none" };
  }
}

interface ObservedRow {
  name: string;
  comment: string | null;
  attached: boolean;
  pending: boolean;
  from: string | null;
  to: string | null;
}

/** All partitions of the table, and standalone tables of its schema whose names begin like theirs. The session speaks UTC. */
export async function observePartitions(sql: Sql, table: PartitionedTable): Promise<ObservedPartition[]> {
  const [parent] = await sql<{ partitioned: boolean }[]>`
    select c.relkind = 'p' as partitioned from pg_class c
    where c.relnamespace = to_regnamespace(${quote(table.schema)}) and c.relname = ${table.name}`;
  if (parent?.partitioned !== true) {
    throw new AppError("not_found", { detail: `${table.schema}.${table.name} is not a partitioned table` });
  }
  const rows = await sql<ObservedRow[]>`
    select c.relname as name, obj_description(c.oid, 'pg_class') as comment, i.inhrelid is not null as attached,
      coalesce(i.inhdetachpending, false) as pending, b.range[1] as from, b.range[2] as to
    from pg_class c
    left join pg_inherits i on i.inhrelid = c.oid and i.inhparent = to_regclass(${qualified(table)})
    left join lateral (
      select regexp_match(pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM [(]''([^'']+)''[)] TO [(]''([^'']+)''[)]$') as range
    ) b on true
    where i.inhrelid is not null
      or (c.relkind in ('r', 'p') and c.relnamespace = to_regnamespace(${quote(table.schema)})
        and starts_with(c.relname, ${`${table.name}_`}) and c.relname ~ '_[0-9]{4}_[0-9]{2}$')
    order by c.relname`;
  return rows.map((row): ObservedPartition => {
    const fromMs = Date.parse(row.from ?? "");
    const toMs = Date.parse(row.to ?? "");
    return {
      name: row.name,
      mark: parseMark(row.comment),
      state: row.pending ? "pending" : row.attached ? "attached" : "standalone",
      ...(Number.isNaN(fromMs) || Number.isNaN(toMs) ? {} : { bounds: { fromMs, toMs } }),
    };
  });
}

/** Applies one action; when it was applied already, or meanwhile, does nothing. */
async function applyPartitionAction(sql: Sql, table: PartitionedTable, action: PartitionAction): Promise<void> {
  const parent = qualified(table);
  const child = qualified({ schema: table.schema, name: action.name });
  const current = async (): Promise<ObservedPartition | undefined> =>
    (await observePartitions(sql, table)).find(({ name }) => name === action.name);
  switch (action.kind) {
    case "create": {
      if ((await current()) !== undefined) {
        return;
      }
      // Identity stays with the parent: partitions draw from its sequence, and Postgres 17 refuses one with its own.
      // The CHECK says what ATTACH would otherwise find out by a scan under its lock.
      const column = quote(table.column);
      const range = `${column} >= ${timestamp(action.fromMs)} and ${column} < ${timestamp(action.toMs)}`;
      await inTransaction(
        sql,
        `create table ${child} (like ${parent} including all excluding identity)`,
        `alter table ${child} add constraint ${quote(checkName)} check (${column} is not null and ${range})`,
        mark(child, marks.created),
      );
      return;
    }
    case "attach": {
      if ((await current())?.state === "attached") {
        return;
      }
      // SHARE UPDATE EXCLUSIVE on the parent: writers go on. The strong lock is on the new table alone, which nobody uses yet.
      await inTransaction(
        sql,
        `alter table ${parent} attach partition ${child} for values from (${timestamp(action.fromMs)}) to (${timestamp(action.toMs)})`,
        `alter table ${child} drop constraint if exists ${quote(checkName)}`,
        mark(child, marks.attached),
      );
      return;
    }
    case "finalize": {
      if ((await current())?.state !== "pending") {
        return;
      }
      await sql.unsafe(`alter table ${parent} detach partition ${child} finalize`);
      return;
    }
    case "detach": {
      const found = await current();
      if (found?.state === "pending") {
        await sql.unsafe(`alter table ${parent} detach partition ${child} finalize`);
      } else if (found?.state === "attached") {
        await sql.unsafe(mark(child, marks.detaching));
        await sql.unsafe(`alter table ${parent} detach partition ${child} concurrently`);
      }
      return;
    }
    case "stamp": {
      const found = await current();
      if (found?.state === "standalone" && found.mark.kind !== "detached") {
        await sql.unsafe(mark(child, `${marks.detached} ${new Date(action.atMs).toISOString()}`));
      }
      return;
    }
    case "drop": {
      const found = await current();
      if (found?.state === "standalone" && found.mark.kind === "detached") {
        await sql.unsafe(`drop table ${child}`);
      }
      return;
    }
    default:
      assertNever(action);
  }
}

const checkName = "pricing_engine_partition_bounds";

function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

function qualified(table: { schema: string; name: string }): string {
  return `${quote(table.schema)}.${quote(table.name)}`;
}

/** Of our own making: digits and letters only. */
function timestamp(atMs: number): string {
  return `'${new Date(atMs).toISOString()}'::timestamptz`;
}

function mark(child: string, text: string): string {
  return `comment on table ${child} is '${markPrefix}${text}'`;
}

/** Statements sent as one simple query are one transaction. */
async function inTransaction(sql: Sql, ...statements: string[]): Promise<void> {
  await sql.unsafe(statements.join("; "));
}
