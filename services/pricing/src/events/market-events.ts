import { marketEventMessage } from "@pricing-engine/contracts";
import { decodeEnvelope, type Message } from "@pricing-engine/kafka";
import type { ApplyMarketEvent } from "../usecases/apply-market-event.ts";
import type { FailTask } from "../usecases/fail-task.ts";
import type { StartRecalculation } from "../usecases/start-recalculation.ts";
import { describeFailure, isLastAttempt } from "./last-attempt.ts";

export interface MarketEventHandlerDeps {
  readonly applyMarketEvent: ApplyMarketEvent;
  readonly startRecalculation: StartRecalculation;
  readonly failTask: FailTask;
  readonly isOutage: (error: unknown) => boolean;
  /** After which a message is dead. */
  readonly attempts: number;
}

/** Topic `market-events`. */
export function makeMarketEventHandler(deps: MarketEventHandlerDeps): (message: Message) => Promise<void> {
  return async (message) => {
    const { id, data } = decodeEnvelope(marketEventMessage, message.value);
    try {
      const { productId } = data;
      // A recalculation of everything that finds another one running is started when that one ends.
      if (productId === undefined) await deps.startRecalculation();
      else await deps.applyMarketEvent({ id, data: { ...data, productId } });
    } catch (error) {
      if (!deps.isOutage(error) && isLastAttempt(message, error, deps.attempts)) {
        await deps.failTask({ kind: "event", data, error: describeFailure(error) });
      }
      throw error;
    }
  };
}
