import { appendOutbox, withTransaction } from "@pricing-engine/postgres";
import { readClock } from "../adapters/product-lookup.ts";
import { schemaName } from "../adapters/schema.ts";
import { findLastRecalculationAgeMs, lockSchedule } from "../adapters/task-store.ts";
import { type Deps, deadlineMs } from "./deps.ts";
import { requestTask } from "./request-task.ts";

/** The task that was asked for; undefined when the last one is not that long ago. */
export type ScheduleRecalculation = (everyMs: number) => Promise<string | undefined>;

/** Prices change with time alone (signals go stale, rules read `now`). Every replica asks; under the lock one finds that it is time. */
export function makeScheduleRecalculation({ pool, prefix }: Pick<Deps, "pool" | "prefix">): ScheduleRecalculation {
  return (everyMs) =>
    withTransaction(
      pool,
      async (tx) => {
        if (everyMs === 0 || !(await lockSchedule(tx))) return undefined;
        const ageMs = await findLastRecalculationAgeMs(tx);
        if (ageMs !== undefined && ageMs < everyMs) return undefined;
        const observedAt = new Date(await readClock(tx)).toISOString();
        const { taskId, outboxRows } = await requestTask(tx, prefix, {
          origin: "schedule",
          data: { kind: "recalculate", observedAt },
        });
        await appendOutbox(tx, { schema: schemaName }, outboxRows);
        return taskId;
      },
      { deadlineMs },
    );
}
