import type { QuoteBasis } from "../adapters/quote-reader.ts";
import type { ReadDeps } from "./read-deps.ts";

/**
 * Leaves what is about to be shown in the cache, for answers that are not kept there themselves: from then on no hit is
 * older. Without Redis the answer goes out all the same.
 */
export async function markShown(
  { cache, logger }: Pick<ReadDeps, "cache" | "logger">,
  bases: readonly QuoteBasis[],
): Promise<void> {
  const [first] = bases;
  if (first === undefined) return;
  try {
    const marks = bases.map(({ product, sequence }) => ({ productId: product.productId, sequence }));
    await Promise.all([cache.markSequences(marks), cache.setPolicyVersion(first.policyVersion)]);
  } catch (error) {
    logger.warn({ err: error, products: bases.length }, "prices were shown without a marker");
  }
}
