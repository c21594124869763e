import { type HttpApp, parseParams, parseQuery } from "@pricing-engine/chassis/http";
import { historyQuery, productId } from "@pricing-engine/contracts";
import { z } from "zod";
import type { GetPriceHistory } from "../usecases/get-price-history.ts";
import { unknownProduct } from "../usecases/price-errors.ts";

const params = z.object({ product_id: productId });

/** `GET /api/v1/prices/{product_id}/history` */
export function mountHistory(app: HttpApp, getPriceHistory: GetPriceHistory): void {
  app.get("/api/v1/prices/:product_id/history", async (c) => {
    const { product_id: id } = parseParams(c, params);
    const history = await getPriceHistory(id, parseQuery(c, historyQuery));
    if (history === undefined) throw unknownProduct(id);
    return c.json(history);
  });
}
