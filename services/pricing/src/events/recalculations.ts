import { recalculationMessage } from "@pricing-engine/contracts";
import { decodeEnvelope, type Message } from "@pricing-engine/kafka";
import type { FailTask } from "../usecases/fail-task.ts";
import type { RecalculateChunk } from "../usecases/recalculate-chunk.ts";
import { describeFailure, isLastAttempt } from "./last-attempt.ts";

export interface RecalculationHandlerDeps {
  readonly recalculateChunk: RecalculateChunk;
  readonly failTask: FailTask;
  readonly isOutage: (error: unknown) => boolean;
  readonly attempts: number;
}

/** Topic `recalculations`. */
export function makeRecalculationHandler(deps: RecalculationHandlerDeps): (message: Message) => Promise<void> {
  return async (message) => {
    const { data } = decodeEnvelope(recalculationMessage, message.value);
    try {
      await deps.recalculateChunk(data);
    } catch (error) {
      if (!deps.isOutage(error) && isLastAttempt(message, error, deps.attempts)) {
        await deps.failTask({ kind: "chunk", data, error: describeFailure(error) });
      }
      throw error;
    }
  };
}
