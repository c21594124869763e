import type { On } from "./on-postgres.ts";

export interface Chunk {
  readonly chunk: number;
  readonly productIds: readonly string[];
}

/**
 * Moves the waiting recalculation of everything to `running` and divides the products that there are. Undefined when none waits or
 * another one runs: the index on the running one decides between two that try.
 */
export async function startRecalculation(
  { sql }: On,
  options: { chunkSize: number },
): Promise<{ taskId: string; chunks: Chunk[] } | undefined> {
  const [task] = await sql<{ task_id: string }[]>`
    update pricing.tasks set status = 'running', started_at = clock_timestamp(), nudged_at = clock_timestamp()
    where product_id is null and status = 'queued'
      and not exists (select from pricing.tasks where product_id is null and status = 'running')
    returning task_id`;
  if (task === undefined) return undefined;
  const rows = await sql<{ chunk: number; product_ids: string[] }[]>`
    insert into pricing.task_chunks (task_id, chunk, product_ids, total)
    select ${task.task_id}, chunk, array_agg(product_id order by product_id), count(*)
    from (
      select product_id, ((row_number() over (order by product_id) - 1) / ${options.chunkSize}::int)::int as chunk
      from pricing.products where deleted_at is null
    ) as numbered
    group by chunk returning chunk, product_ids`;
  return { taskId: task.task_id, chunks: rows.map((row) => ({ chunk: row.chunk, productIds: row.product_ids })) };
}

/** True when the chunk is still to be applied; its row is locked to the end of the transaction. */
export async function claimChunk({ sql }: On, id: { taskId: string; chunk: number }): Promise<boolean> {
  const [row] = await sql<{ status: string }[]>`
    select status from pricing.task_chunks where task_id = ${id.taskId} and chunk = ${id.chunk} for update`;
  return row !== undefined && row.status !== "done";
}

export async function finishChunk(
  { sql }: On,
  end: { taskId: string; chunk: number; total: number; done: number; changed: number; failed: number },
): Promise<void> {
  await sql`
    update pricing.task_chunks set status = 'done', total = ${end.total}, done = ${end.done}, changed = ${end.changed},
      failed = ${end.failed}, error = null, finished_at = clock_timestamp()
    where task_id = ${end.taskId} and chunk = ${end.chunk}`;
}

/** The chunk was given up. One that is done stays so. */
export async function failChunk({ sql }: On, end: { taskId: string; chunk: number; error: string }): Promise<void> {
  await sql`
    update pricing.task_chunks set status = 'failed', failed = total, error = ${end.error}, finished_at = clock_timestamp()
    where task_id = ${end.taskId} and chunk = ${end.chunk} and status <> 'done'`;
}

/**
 * Ends a running task whose chunks have all ended; true when it did. Run after the commit of a chunk: of two last ones the later commit
 * sees both. A task that failed and whose chunks came back from the dead letters ends anew.
 */
export async function finishRecalculation({ sql }: On, taskId: string): Promise<boolean> {
  const finished = await sql`
    update pricing.tasks t set
      status = case when c.failed = 0 then 'succeeded' else 'failed' end,
      error = case when c.failed = 0 then null else c.error end, finished_at = clock_timestamp()
    from (
      select count(*) filter (where status = 'pending') as pending, count(*) filter (where status = 'failed') as failed,
        max(error) as error
      from pricing.task_chunks where task_id = ${taskId}
    ) as c
    where t.task_id = ${taskId} and t.status in ('running', 'failed') and c.pending = 0
      and (t.status = 'running' or c.failed = 0)`;
  return finished.count === 1;
}

export async function readPendingChunks({ sql }: On, taskId: string): Promise<Chunk[]> {
  const rows = await sql<{ chunk: number; product_ids: string[] }[]>`
    select chunk, product_ids from pricing.task_chunks where task_id = ${taskId} and status = 'pending' order by chunk`;
  return rows.map((row) => ({ chunk: row.chunk, productIds: row.product_ids }));
}
