import type { Logger } from "@pricing-engine/chassis/log";
import type { ProcessorName } from "../domain/processor.ts";
import type { Processors } from "../usecases/ports.ts";

/** What waits for it is asked again all the time: one line in so long for each processor. */
const quietMs = 60_000;

/** Tells of a processor that refuses our calls as wrong: nobody but a person mends that. `nowMs` is monotonic. */
export function tellMisconfigured(
  processors: Processors,
  logger: Pick<Logger, "error">,
  nowMs = () => performance.now(),
): Processors {
  const toldMs = new Map<ProcessorName, number>();
  return {
    ...processors,
    async pay(processor, call) {
      const outcome = await processors.pay(processor, call);
      if (
        outcome.kind === "misconfigured" &&
        nowMs() - (toldMs.get(processor) ?? Number.NEGATIVE_INFINITY) >= quietMs
      ) {
        toldMs.set(processor, nowMs());
        const { reason } = outcome;
        logger.error(
          { processor, reason, payment: call.id },
          "a processor takes our calls for wrong: see its URL and its token",
        );
      }
      return outcome;
    },
  };
}
