import { AppError } from "@pricing-engine/chassis/errors";
import { type HttpApp, type HttpContext, parseBody, parseParams } from "@pricing-engine/chassis/http";
import { idempotencyKey, inventoryInput, type OrdersLoad, productId } from "@pricing-engine/contracts";
import { z } from "zod";
import type { Inventory, RequestId } from "../usecases/inventory.ts";
import { tenantOfOrder } from "./caller.ts";

const path = "/api/v1/inventory/:product_id";
const params = z.object({ product_id: productId });

/** `GET|PUT /api/v1/inventory/{product_id}` */
export function mountInventory(app: HttpApp, inventory: Inventory): void {
  app.get(path, async (c) => c.json(await inventory.get(parseParams(c, params).product_id)));
  app.put(path, async (c) => {
    const { product_id } = parseParams(c, params);
    const input = await parseBody(c, inventoryInput);
    return c.json(await inventory.change(product_id, input, findRequestId(c)));
  });
}

/** The caller's own: two tenants may use one key. @throws AppError validation_failed when it is no key */
function findRequestId(c: HttpContext): RequestId | undefined {
  const header = c.req.header("idempotency-key");
  if (header === undefined) return undefined;
  const key = idempotencyKey.safeParse(header);
  if (key.success) return { tenantId: tenantOfOrder(c, undefined), key: key.data };
  const message = "the header Idempotency-Key is not a key";
  const fieldErrors = [{ pointer: "/idempotency_key", code: "invalid", message }];
  throw new AppError("validation_failed", { detail: message, fieldErrors });
}

/** `GET /internal/load`: for the gateway's back-pressure. */
export function mountLoad(app: HttpApp, readLoad: () => Promise<OrdersLoad>): void {
  app.get("/internal/load", async (c) => c.json(await readLoad()));
}
