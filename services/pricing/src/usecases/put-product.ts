import type { ProductInput, ProductResponse } from "@pricing-engine/contracts";
import { query } from "@pricing-engine/postgres";
import { findProduct } from "../adapters/product-store.ts";
import { type Deps, deadlineMs } from "./deps.ts";
import { toResponse, toWrite } from "./product-document.ts";
import type { WriteProducts } from "./write-products.ts";

export type PutProductResult =
  | { readonly kind: "created" | "replaced"; readonly product: ProductResponse }
  /** Written, and deleted by somebody else before it could be read. */
  | { readonly kind: "gone" };

export type PutProduct = (productId: string, input: ProductInput) => Promise<PutProductResult>;

export function makePutProduct({
  pool,
  writeProducts,
}: Pick<Deps, "pool"> & { writeProducts: WriteProducts }): PutProduct {
  return async (productId, input) => {
    const results = await writeProducts([toWrite(productId, input)]);
    const product = await query(pool, deadlineMs, (on) => findProduct(on, productId));
    if (product === undefined) return { kind: "gone" };
    return { kind: results.get(productId) === "created" ? "created" : "replaced", product: toResponse(product) };
  };
}
