import type { MarketEventData, TaskResponse, TaskStatus, TaskType } from "@pricing-engine/contracts";
import { type On, toJson } from "./on-postgres.ts";

export type TaskOrigin = "api" | "policy" | "schedule";

export interface NewTask {
  readonly taskId: string;
  readonly type: TaskType;
  /** undefined: all products. */
  readonly productId: string | undefined;
  readonly origin: TaskOrigin;
  readonly message: MarketEventData;
}

/** False when it is about all products and another such task waits already. */
export async function insertTask({ sql }: On, task: NewTask): Promise<boolean> {
  const inserted = await sql`
    insert into pricing.tasks (task_id, type, product_id, origin, message)
    values (${task.taskId}, ${task.type}, ${task.productId ?? null}, ${task.origin}, ${toJson(task.message)}::text::jsonb)
    on conflict ((product_id is null)) where product_id is null and status = 'queued' do nothing`;
  return inserted.count === 1;
}

/** The recalculation of everything that waits; its row is kept as it is to the end of the transaction. */
export async function findQueuedRecalculation({ sql }: On): Promise<string | undefined> {
  const [row] = await sql<{ task_id: string }[]>`
    select task_id from pricing.tasks where product_id is null and status = 'queued' for share`;
  return row?.task_id;
}

/** The task that an event id stands for; undefined when it is new. */
export async function findTaskOfEvent({ sql }: On, eventId: string): Promise<string | undefined> {
  const [row] = await sql<{ task_id: string }[]>`
    select task_id from pricing.task_events where event_id = ${eventId}`;
  return row?.task_id;
}

/** False when somebody else was first with this event id; waits for them to commit. */
export async function claimEvent({ sql }: On, eventId: string, taskId: string): Promise<boolean> {
  const claimed = await sql`
    insert into pricing.task_events (event_id, task_id) values (${eventId}, ${taskId}) on conflict do nothing`;
  return claimed.count === 1;
}

/** The status of a task, its row locked to the end of the transaction. */
export async function lockTask({ sql }: On, taskId: string): Promise<TaskStatus | undefined> {
  const [row] = await sql<{ status: TaskStatus }[]>`
    select status from pricing.tasks where task_id = ${taskId} for no key update`;
  return row?.status;
}

/** The end of a task about a single product. A task that has ended stays as it is. */
export async function finishTask(
  { sql }: On,
  end: { taskId: string; status: "succeeded" | "failed" | "skipped"; changed: boolean; error: string | undefined },
): Promise<void> {
  await sql`
    update pricing.tasks set status = ${end.status}, changed = ${end.changed}, error = ${end.error ?? null},
      started_at = coalesce(started_at, now()), finished_at = clock_timestamp()
    where task_id = ${end.taskId} and status not in ('succeeded', 'skipped')`;
}

interface TaskRow {
  task_id: string;
  type: TaskType;
  product_id: string | null;
  status: TaskStatus;
  changed: boolean;
  error: string | null;
  created_ms: number;
  finished_ms: number | null;
  chunks: { total: number; done: number; changed: number; failed: number } | null;
}

export async function findTask({ sql }: On, taskId: string): Promise<TaskResponse | undefined> {
  const [row] = await sql<TaskRow[]>`
    select task_id, type, product_id, status, changed, error, extract(epoch from created_at)::float8 * 1000 as created_ms,
      extract(epoch from finished_at)::float8 * 1000 as finished_ms,
      (select jsonb_build_object('total', sum(total), 'done', sum(done), 'changed', sum(c.changed), 'failed', sum(failed))
        from pricing.task_chunks c where c.task_id = t.task_id having count(*) > 0) as chunks
    from pricing.tasks t where task_id = ${taskId}`;
  if (row === undefined) return undefined;
  return {
    task_id: row.task_id,
    type: row.type,
    status: row.status,
    products: row.product_id === null ? (row.chunks ?? noProducts) : countsOf(row),
    created_at: new Date(row.created_ms).toISOString(),
    finished_at: row.finished_ms === null ? null : new Date(row.finished_ms).toISOString(),
    ...(row.error !== null && { error: row.error }),
  };
}

const noProducts = { total: 0, done: 0, changed: 0, failed: 0 };

function countsOf({ status, changed }: TaskRow): typeof noProducts {
  return {
    total: 1,
    done: status === "succeeded" || status === "skipped" ? 1 : 0,
    changed: changed ? 1 : 0,
    failed: status === "failed" ? 1 : 0,
  };
}

export interface OverdueTask {
  readonly taskId: string;
  readonly productId: string | undefined;
  readonly status: "queued" | "running";
  readonly message: MarketEventData;
}

/** Takes tasks that nothing was heard of for so long, oldest first; they count as sent now, so only one sweeper gets each. */
export async function claimOverdueTasks(
  { sql }: On,
  options: { olderThanMs: number; limit: number },
): Promise<OverdueTask[]> {
  const rows = await sql<
    { task_id: string; product_id: string | null; status: "queued" | "running"; message: MarketEventData }[]
  >`
    update pricing.tasks set nudged_at = clock_timestamp()
    where task_id in (
      select task_id from pricing.tasks
      where finished_at is null and nudged_at < clock_timestamp() - make_interval(secs => ${options.olderThanMs / 1000})
      order by nudged_at limit ${options.limit} for update skip locked)
    returning task_id, product_id, status, message`;
  return rows.map((row) => ({
    taskId: row.task_id,
    productId: row.product_id ?? undefined,
    status: row.status,
    message: row.message,
  }));
}

export interface OpenTasks {
  readonly queued: number;
  readonly running: number;
  readonly oldestAgeMs: number;
}

export async function readOpenTasks({ sql }: On): Promise<OpenTasks> {
  const [row] = await sql<{ queued: number; running: number; oldest_ms: number }[]>`
    select count(*) filter (where status = 'queued')::int as queued, count(*) filter (where status = 'running')::int as running,
      coalesce(extract(epoch from clock_timestamp() - min(created_at)) * 1000, 0)::float8 as oldest_ms
    from pricing.tasks where finished_at is null`;
  return { queued: row?.queued ?? 0, running: row?.running ?? 0, oldestAgeMs: row?.oldest_ms ?? 0 };
}

/** How long ago somebody last asked for a recalculation of everything; undefined: never. */
export async function findLastRecalculationAgeMs({ sql }: On): Promise<number | undefined> {
  const [row] = await sql<{ age_ms: number | null }[]>`
    select extract(epoch from clock_timestamp() - max(created_at))::float8 * 1000 as age_ms
    from pricing.tasks where product_id is null`;
  return row?.age_ms ?? undefined;
}

/** False when another replica is looking at the schedule just now. Held to the end of the transaction. */
export async function lockSchedule({ sql }: On): Promise<boolean> {
  const [row] = await sql<{ free: boolean }[]>`
    select pg_try_advisory_xact_lock(hashtextextended('pricing.schedule', 0)) as free`;
  return row?.free === true;
}
