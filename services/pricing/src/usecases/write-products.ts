import { appendOutbox, withTransaction } from "@pricing-engine/postgres";
import { type ProductWrite, type WriteResult, writeProducts } from "../adapters/product-store.ts";
import { schemaName } from "../adapters/schema.ts";
import { bulk, type Deps } from "./deps.ts";

export type WriteProducts = (products: readonly ProductWrite[]) => Promise<Map<string, WriteResult>>;

/**
 * Writes products, each named once, and publishes the market price of those that changed, in one transaction. Without it there would
 * be a moment with a product and no price.
 */
export function makeWriteProducts({
  pool,
  publishPrices,
  markCommitted,
}: Pick<Deps, "pool" | "publishPrices" | "markCommitted">): WriteProducts {
  return async (products) => {
    const { results, outboxRows } = await withTransaction(
      pool,
      async (tx) => {
        const results = await writeProducts(tx, products);
        const changed = [...results].flatMap(([productId, result]) => (result === "unchanged" ? [] : [productId]));
        const { outboxRows } = await publishPrices(tx, { productIds: changed, written: true });
        await appendOutbox(tx, { schema: schemaName }, outboxRows);
        return { results, outboxRows };
      },
      bulk,
    );
    await markCommitted(outboxRows);
    return results;
  };
}
