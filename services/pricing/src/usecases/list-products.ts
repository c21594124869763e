import type { ProductListResponse } from "@pricing-engine/contracts";
import { query } from "@pricing-engine/postgres";
import { listProducts } from "../adapters/product-store.ts";
import { type Deps, deadlineMs } from "./deps.ts";
import { toResponse } from "./product-document.ts";

export type ListProducts = (page: { afterId: string | undefined; limit: number }) => Promise<ProductListResponse>;

/** A page in the order of product ids. What is written meanwhile is seen when it lies ahead, and nothing is seen twice. */
export function makeListProducts({ pool }: Pick<Deps, "pool">): ListProducts {
  return async ({ afterId, limit }) => {
    const found = await query(pool, deadlineMs, (on) => listProducts(on, { afterId, limit: limit + 1 }));
    const page = found.slice(0, limit);
    const last = found.length > limit ? page.at(-1) : undefined;
    return {
      products: page.map(toResponse),
      next_cursor: last === undefined ? null : Buffer.from(last.productId).toString("base64url"),
    };
  };
}
