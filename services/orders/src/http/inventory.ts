import { type HttpApp, parseBody, parseParams } from "@pricing-engine/chassis/http";
import { inventoryInput, type OrdersLoad, productId } from "@pricing-engine/contracts";
import { z } from "zod";
import type { Inventory } from "../usecases/inventory.ts";

const path = "/api/v1/inventory/:product_id";
const params = z.object({ product_id: productId });

/** `GET|PUT /api/v1/inventory/{product_id}` */
export function mountInventory(app: HttpApp, inventory: Inventory): void {
  app.get(path, async (c) => c.json(await inventory.get(parseParams(c, params).product_id)));
  app.put(path, async (c) => {
    const { product_id } = parseParams(c, params);
    return c.json(await inventory.change(product_id, await parseBody(c, inventoryInput)));
  });
}

/** `GET /internal/load`: for the gateway's back-pressure. */
export function mountLoad(app: HttpApp, readLoad: () => Promise<OrdersLoad>): void {
  app.get("/internal/load", async (c) => c.json(await readLoad()));
}
