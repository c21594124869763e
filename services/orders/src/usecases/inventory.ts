import { createHash } from "node:crypto";
import { AppError } from "@pricing-engine/chassis/errors";
import type { InventoryInput, InventoryResponse } from "@pricing-engine/contracts";
import { appendOutbox, claimInbox, type Pool, query, withTransaction } from "@pricing-engine/postgres";
import { findLevel, type Level, lockLevels, writeStock } from "../adapters/inventory-store.ts";
import { stockRow } from "../adapters/outbox-rows.ts";
import type { PricingClient } from "../adapters/pricing-client.ts";
import { schemaName } from "../adapters/schema.ts";
import { isNews } from "../domain/low-stock.ts";
import { deadlineMs } from "./deadline.ts";

export interface RequestId {
  readonly tenantId: string;
  readonly key: string;
}

export interface Inventory {
  get(productId: string): Promise<InventoryResponse>;
  /** `requestId`, where there is one: the same change under it again changes nothing. */
  change(productId: string, change: InventoryInput, requestId?: RequestId): Promise<InventoryResponse>;
}

const consumer = "inventory-api";
const maxStock = 2_147_483_647;

/** Each throws AppError `not_found` for a product that is not known or whose stock nobody counts; `change` `stock_differs` too. */
export function makeInventory(deps: {
  pool: Pool;
  pricing: Pick<PricingClient, "findInitialStock">;
  prefix: string;
}): Inventory {
  const { pool, pricing, prefix } = deps;

  const initialStock = async (productId: string): Promise<number> => {
    const initial = await pricing.findInitialStock(productId);
    if (initial === undefined) throw new AppError("not_found", { detail: `there is no product "${productId}"` });
    if (initial === null) {
      throw new AppError("not_found", { detail: `the stock of product "${productId}" is not counted` });
    }
    return initial;
  };

  return {
    async get(productId) {
      const level = await query(pool, deadlineMs, (on) => findLevel(on, productId));
      if (level !== undefined) return { stock: level.stock, reserved: level.reserved };
      return { stock: await initialStock(productId), reserved: 0 };
    },
    async change(productId, change, requestId) {
      const known = await query(pool, deadlineMs, (on) => findLevel(on, productId));
      const initial = known === undefined ? await initialStock(productId) : 0;
      return withTransaction(
        pool,
        async (tx) => {
          const level = (await lockLevels(tx, new Map([[productId, initial]]))).get(productId);
          if (level === undefined) throw new AppError("internal");
          if (requestId !== undefined) {
            const messageId = createHash("sha256")
              .update(JSON.stringify([productId, requestId, change]))
              .digest("hex");
            const isFresh = await claimInbox(tx, { schema: schemaName, consumer, messageId });
            if (!isFresh) return { stock: level.stock, reserved: level.reserved };
          }
          const stock = levelAfter(level, change);
          const { reserved, fullStock } = await writeStock(tx, productId, stock);
          const rows = isNews(fullStock, level.stock, stock) ? [stockRow(prefix, { productId, stock })] : [];
          await appendOutbox(tx, { schema: schemaName }, rows);
          return { stock, reserved };
        },
        { deadlineMs },
      );
    },
  };
}

function levelAfter({ stock, reserved }: Level, change: InventoryInput): number {
  if ("expected" in change && change.expected !== stock) {
    throw new AppError("stock_differs", { detail: `the stock is ${stock}`, extensions: { stock } });
  }
  const next = "expected" in change ? change.stock : stock + change.delta;
  // With what orders may still give back: a release must always fit.
  if (next >= 0 && next + reserved <= maxStock) return next;
  throw new AppError("stock_differs", {
    detail: `the stock is ${stock}: with ${reserved} reserved it must stay between 0 and ${maxStock}`,
    extensions: { stock },
  });
}
