import type { MarketEventData, TaskType } from "@pricing-engine/contracts";
import type { OutboxRow, Tx } from "@pricing-engine/postgres";
import { uuidv7 } from "uuidv7";
import { marketEventRow } from "../adapters/outbox-rows.ts";
import {
  claimEvent,
  findQueuedRecalculation,
  findTaskOfEvent,
  insertTask,
  type TaskOrigin,
} from "../adapters/task-store.ts";

export interface TaskRequest {
  readonly origin: TaskOrigin;
  /** `taskId` is filled in here. */
  readonly data: MarketEventData;
}

export interface RequestedTask {
  readonly taskId: string;
  /** Empty when the request joined a task that was there. To be appended last. */
  readonly outboxRows: readonly OutboxRow[];
}

/**
 * Makes the task of a request, or finds the one that it repeats (by event id) or joins (the waiting recalculation of
 * everything), in the caller's transaction.
 */
export async function requestTask(tx: Tx, prefix: string, request: TaskRequest): Promise<RequestedTask> {
  const { eventId } = request.data;
  const known = eventId === undefined ? undefined : await findTaskOfEvent(tx, eventId);
  if (known !== undefined) return { taskId: known, outboxRows: [] };
  const requested = await insertOrJoin(tx, prefix, request);
  if (eventId !== undefined && !(await claimEvent(tx, eventId, requested.taskId))) {
    throw new RepeatedEvent();
  }
  return requested;
}

/** Another request with the same event id committed meanwhile. Roll back and run again: then it is found. */
export class RepeatedEvent extends Error {}

async function insertOrJoin(tx: Tx, prefix: string, { origin, data }: TaskRequest): Promise<RequestedTask> {
  const type: TaskType = data.kind;
  for (;;) {
    const taskId = uuidv7();
    const message = { ...data, taskId };
    if (await insertTask(tx, { taskId, type, productId: data.productId, origin, message })) {
      const event = { id: taskId, occurredAtMs: Date.parse(data.observedAt), data: message };
      return { taskId, outboxRows: [marketEventRow(prefix, event)] };
    }
    // What waits may begin to run between the two statements; then there is room for the next one.
    const waiting = await findQueuedRecalculation(tx);
    if (waiting !== undefined) return { taskId: waiting, outboxRows: [] };
  }
}
