import { appendOutbox, withTransaction } from "@pricing-engine/postgres";
import { uuidv7 } from "uuidv7";
import { priceRows } from "../adapters/outbox-rows.ts";
import { buryProduct } from "../adapters/product-store.ts";
import { schemaName } from "../adapters/schema.ts";
import { type Deps, deadlineMs } from "./deps.ts";

/** False when there is no such product. */
export type DeleteProduct = (productId: string) => Promise<boolean>;

/** Ends a product's life. Its revision and sequence go on, so nothing cached or on its way can pass for a price of the next one. */
export function makeDeleteProduct({
  pool,
  prefix,
  markCommitted,
}: Pick<Deps, "pool" | "prefix" | "markCommitted">): DeleteProduct {
  return async (productId) => {
    const outboxRows = await withTransaction(
      pool,
      async (tx) => {
        const decisionId = uuidv7();
        const tombstone = await buryProduct(tx, productId, decisionId);
        if (tombstone === undefined) return undefined;
        const change = {
          productId,
          price: null,
          currency: tombstone.currency,
          sequence: tombstone.sequence,
          policyVersion: tombstone.policyVersion,
          decisionId,
          decidedAt: new Date(tombstone.decidedAtMs).toISOString(),
          reason: "The product was deleted",
        };
        const rows = priceRows(prefix, [change]);
        await appendOutbox(tx, { schema: schemaName }, rows);
        return rows;
      },
      { deadlineMs },
    );
    await markCommitted(outboxRows ?? []);
    return outboxRows !== undefined;
  };
}
