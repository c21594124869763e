import type { PriceCache } from "@pricing-engine/price-cache";
import { z } from "zod";

const marks = z.array(z.tuple([z.string(), z.number()]));

/** Leaves the sequences that outbox rows for the cache hold. Again and in any order: markers only rise. */
export async function raiseMarks(
  cache: Pick<PriceCache, "markSequences">,
  rows: readonly { payload: string }[],
): Promise<void> {
  const highest = new Map<string, number>();
  for (const [productId, sequence] of rows.flatMap(({ payload }) => marks.parse(JSON.parse(payload)))) {
    highest.set(productId, Math.max(sequence, highest.get(productId) ?? 0));
  }
  await cache.markSequences([...highest].map(([productId, sequence]) => ({ productId, sequence })));
}
