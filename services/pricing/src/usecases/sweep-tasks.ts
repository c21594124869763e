import { appendOutbox, type OutboxRow, withTransaction } from "@pricing-engine/postgres";
import { finishRecalculation, readPendingChunks } from "../adapters/chunk-store.ts";
import { taskMetrics } from "../adapters/metrics.ts";
import { marketEventRow, recalculationRow } from "../adapters/outbox-rows.ts";
import { schemaName } from "../adapters/schema.ts";
import { claimOverdueTasks } from "../adapters/task-store.ts";
import { bulk, type Deps } from "./deps.ts";
import type { StartRecalculation } from "./start-recalculation.ts";

/** How many overdue tasks were sent again. */
export type SweepTasks = () => Promise<number>;

/**
 * Sends again what nothing was heard of for `overdueMs`. Kafka redelivers by itself; this is for what it cannot know: messages that an
 * emptied cluster lost, a recalculation whose turn came while nobody looked. Doing a thing twice changes nothing, so it may be wrong.
 */
export function makeSweepTasks(
  { pool, prefix }: Pick<Deps, "pool" | "prefix">,
  startRecalculation: StartRecalculation,
  { overdueMs }: { overdueMs: number },
): SweepTasks {
  const nudge = (): Promise<number> =>
    withTransaction(
      pool,
      async (tx) => {
        const overdue = await claimOverdueTasks(tx, { olderThanMs: overdueMs, limit: 100 });
        const rows: OutboxRow[] = [];
        for (const task of overdue) {
          if (task.productId !== undefined) {
            const occurredAtMs = Date.parse(task.message.observedAt);
            rows.push(marketEventRow(prefix, { id: task.taskId, occurredAtMs, data: task.message }));
          } else if (task.status === "running" && !(await finishRecalculation(tx, task.taskId))) {
            for (const { chunk, productIds } of await readPendingChunks(tx, task.taskId)) {
              rows.push(
                recalculationRow(prefix, { taskId: task.taskId, chunk, productIds: [...productIds] }, Date.now()),
              );
            }
          }
        }
        await appendOutbox(tx, { schema: schemaName }, rows);
        return overdue.length;
      },
      bulk,
    );
  return async () => {
    const nudged = await nudge();
    taskMetrics.nudged.inc(nudged);
    // Also when nothing is overdue: one may wait whose predecessor's end nobody saw.
    await startRecalculation();
    return nudged;
  };
}
