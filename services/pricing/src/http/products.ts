import { AppError } from "@pricing-engine/chassis/errors";
import { type HttpApp, parseBody, parseParams, parseQuery } from "@pricing-engine/chassis/http";
import { isStorableText, productId, productInput, productListQuery } from "@pricing-engine/contracts";
import { z } from "zod";
import type { DeleteProduct } from "../usecases/delete-product.ts";
import type { GetProduct } from "../usecases/get-product.ts";
import type { ListProducts } from "../usecases/list-products.ts";
import type { PutProduct } from "../usecases/put-product.ts";

export interface ProductRoutes {
  readonly putProduct: PutProduct;
  readonly getProduct: GetProduct;
  readonly deleteProduct: DeleteProduct;
  readonly listProducts: ListProducts;
}

const path = "/api/v1/products/:id";
const params = z.object({ id: productId });
const defaultLimit = 100;

/** `PUT|GET|DELETE /api/v1/products/{id}`, `GET /api/v1/products` */
export function mountProducts(app: HttpApp, verbs: ProductRoutes): void {
  app.get("/api/v1/products", async (c) => {
    const { cursor, limit = defaultLimit } = parseQuery(c, productListQuery);
    return c.json(await verbs.listProducts({ afterId: parseCursor(cursor), limit }));
  });
  app.put(path, async (c) => {
    const { id } = parseParams(c, params);
    const result = await verbs.putProduct(id, await parseBody(c, productInput));
    if (result.kind === "gone") throw unknownProduct(id);
    return c.json(result.product, result.kind === "created" ? 201 : 200);
  });
  app.get(path, async (c) => {
    const { id } = parseParams(c, params);
    const product = await verbs.getProduct(id);
    if (product === undefined) throw unknownProduct(id);
    return c.json(product);
  });
  app.delete(path, async (c) => {
    const { id } = parseParams(c, params);
    if (!(await verbs.deleteProduct(id))) throw unknownProduct(id);
    return c.body(null, 204);
  });
}

export function unknownProduct(id: string): AppError {
  return new AppError("not_found", { detail: `there is no product "${id}"` });
}

/** The id that a page ended with. */
function parseCursor(cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  const text = Buffer.from(cursor, "base64url").toString();
  // What does not come out as it went in was never a cursor of ours.
  if (Buffer.from(text).toString("base64url") !== cursor || !isStorableText(text)) {
    const message = "must be a next_cursor of this list";
    throw new AppError("validation_failed", {
      detail: `cursor ${message}`,
      fieldErrors: [{ pointer: "?cursor", code: "invalid_cursor", message }],
    });
  }
  return text;
}
