import type { MarketEventData, RecalculationData } from "@pricing-engine/contracts";
import { query } from "@pricing-engine/postgres";
import { failChunk, finishRecalculation } from "../adapters/chunk-store.ts";
import { finishTask } from "../adapters/task-store.ts";
import { type Deps, deadlineMs } from "./deps.ts";
import type { StartRecalculation } from "./start-recalculation.ts";

export type FailedWork =
  | { readonly kind: "event"; readonly data: MarketEventData; readonly error: string }
  | { readonly kind: "chunk"; readonly data: RecalculationData; readonly error: string };

/** Records that a message was given up, so that its task ends. What was done meanwhile stays done. */
export type FailTask = (work: FailedWork) => Promise<void>;

export function makeFailTask({ pool }: Pick<Deps, "pool">, startRecalculation: StartRecalculation): FailTask {
  return async (work) => {
    switch (work.kind) {
      case "event": {
        const { taskId } = work.data;
        if (taskId === undefined) return;
        const end = { taskId, status: "failed", changed: false, error: work.error } as const;
        await query(pool, deadlineMs, (on) => finishTask(on, end));
        return;
      }
      case "chunk": {
        const { taskId, chunk } = work.data;
        const ended = await query(pool, deadlineMs, async (on) => {
          await failChunk(on, { taskId, chunk, error: work.error });
          return finishRecalculation(on, taskId);
        });
        if (ended) await startRecalculation();
        return;
      }
    }
  };
}
