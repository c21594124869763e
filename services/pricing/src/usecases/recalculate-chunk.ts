import type { RecalculationData } from "@pricing-engine/contracts";
import { appendOutbox, query, withTransaction } from "@pricing-engine/postgres";
import { claimChunk, finishChunk, finishRecalculation } from "../adapters/chunk-store.ts";
import { schemaName } from "../adapters/schema.ts";
import { bulk, type Deps, deadlineMs } from "./deps.ts";
import type { StartRecalculation } from "./start-recalculation.ts";

export type RecalculateChunkResult =
  | { readonly kind: "applied"; readonly decided: number; readonly changed: number }
  /** Applied by an earlier delivery. */
  | { readonly kind: "repeated" };

export type RecalculateChunk = (chunk: RecalculationData) => Promise<RecalculateChunkResult>;

/**
 * Recalculates the products of one chunk, once per task: the row of the chunk is locked first and its counters are committed with the
 * prices. The end of the task is looked for after that commit, and on a repeat too, because whoever was killed between the two left it
 * to the next delivery.
 */
export function makeRecalculateChunk(
  { pool, publishPrices }: Pick<Deps, "pool" | "publishPrices">,
  startRecalculation: StartRecalculation,
): RecalculateChunk {
  const apply = (data: RecalculationData): Promise<RecalculateChunkResult> =>
    withTransaction(
      pool,
      async (tx) => {
        if (!(await claimChunk(tx, data))) return { kind: "repeated" };
        const { decided, changed, outboxRows } = await publishPrices(tx, {
          productIds: data.productIds,
          written: false,
        });
        // Products that were deleted since the plan are no longer to be counted.
        const counters = { total: decided.length, done: decided.length, changed: changed.length, failed: 0 };
        await finishChunk(tx, { taskId: data.taskId, chunk: data.chunk, ...counters });
        await appendOutbox(tx, { schema: schemaName }, outboxRows);
        return { kind: "applied", decided: decided.length, changed: changed.length };
      },
      bulk,
    );
  return async (data) => {
    const result = await apply(data);
    const ended = await query(pool, deadlineMs, (on) => finishRecalculation(on, data.taskId));
    if (ended) await startRecalculation();
    return result;
  };
}
