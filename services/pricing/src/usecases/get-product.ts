import type { ProductResponse } from "@pricing-engine/contracts";
import { query } from "@pricing-engine/postgres";
import { findProduct } from "../adapters/product-store.ts";
import { type Deps, deadlineMs } from "./deps.ts";
import { toResponse } from "./product-document.ts";

export type GetProduct = (productId: string) => Promise<ProductResponse | undefined>;

export function makeGetProduct({ pool }: Pick<Deps, "pool">): GetProduct {
  return async (productId) => {
    const product = await query(pool, deadlineMs, (on) => findProduct(on, productId));
    return product === undefined ? undefined : toResponse(product);
  };
}
