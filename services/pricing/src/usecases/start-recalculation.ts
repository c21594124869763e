import { appendOutbox, withTransaction } from "@pricing-engine/postgres";
import { finishRecalculation, startRecalculation } from "../adapters/chunk-store.ts";
import { recalculationRow } from "../adapters/outbox-rows.ts";
import { schemaName } from "../adapters/schema.ts";
import { bulk, type Deps } from "./deps.ts";

/** The task that was started; undefined when none waits or another one still runs. */
export type StartRecalculation = () => Promise<string | undefined>;

/**
 * Starts the waiting recalculation of everything: its chunks and the messages that carry them are one transaction. Called
 * when one was asked for, when one has ended, and by the sweeper; only one call finds it waiting.
 */
export function makeStartRecalculation(
  { pool, prefix }: Pick<Deps, "pool" | "prefix">,
  { chunkSize }: { chunkSize: number },
): StartRecalculation {
  return () =>
    withTransaction(
      pool,
      async (tx) => {
        const started = await startRecalculation(tx, { chunkSize });
        if (started === undefined) return undefined;
        const { taskId, chunks } = started;
        if (chunks.length === 0) await finishRecalculation(tx, taskId);
        const nowMs = Date.now();
        const rows = chunks.map(({ chunk, productIds }) =>
          recalculationRow(prefix, { taskId, chunk, productIds: [...productIds] }, nowMs),
        );
        await appendOutbox(tx, { schema: schemaName }, rows);
        return taskId;
      },
      bulk,
    );
}
