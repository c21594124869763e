import type { Logger } from "@pricing-engine/chassis/log";
import type { OutboxRow } from "@pricing-engine/postgres";
import type { PriceCache } from "@pricing-engine/price-cache";
import { sinks } from "../adapters/outbox-rows.ts";
import { raiseMarks } from "../adapters/price-marks.ts";

/** Called with what a transaction left in the outbox, once it is committed and before anybody is told. */
export type MarkCommitted = (rows: readonly OutboxRow[]) => Promise<void>;

/**
 * The relay brings the markers, without fail but some milliseconds later; whoever reads right after the answer to a
 * write would still be given the old price. So they are left here too. Without Redis the relay has them.
 */
export function makeMarkCommitted({
  cache,
  logger,
}: {
  cache: Pick<PriceCache, "markSequences">;
  logger: Pick<Logger, "debug">;
}): MarkCommitted {
  return async (rows) => {
    const marked = rows.filter(({ sink }) => sink === sinks.priceMarkers);
    if (marked.length === 0) return;
    try {
      await raiseMarks(cache, marked);
    } catch (error) {
      logger.debug({ err: error }, "markers are left to the relay");
    }
  };
}
