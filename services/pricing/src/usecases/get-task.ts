import type { TaskResponse } from "@pricing-engine/contracts";
import { query } from "@pricing-engine/postgres";
import { findTask } from "../adapters/task-store.ts";
import { type Deps, deadlineMs } from "./deps.ts";

export type GetTask = (taskId: string) => Promise<TaskResponse | undefined>;

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

export function makeGetTask({ pool }: Pick<Deps, "pool">): GetTask {
  // What is not an id of ours is no task, and not a fault of the query.
  return async (taskId) => (uuid.test(taskId) ? query(pool, deadlineMs, (on) => findTask(on, taskId)) : undefined);
}
