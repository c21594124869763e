import { assertNever } from "@pricing-engine/chassis/errors";
import { type HttpApp, parseBody } from "@pricing-engine/chassis/http";
import { priceBatchRequest, priceRequest } from "@pricing-engine/contracts";
import { ticketHeader } from "@pricing-engine/price-cache";
import type { GetPrice } from "../usecases/get-price.ts";
import type { GetPricesBatch } from "../usecases/get-prices-batch.ts";
import { currencyNotSold, unknownProduct } from "../usecases/price-errors.ts";

export interface PriceRoutes {
  readonly getPrice: GetPrice;
  readonly getPricesBatch: GetPricesBatch;
}

/** `POST /api/v1/price`, `POST /api/v1/prices:batch` */
export function mountPrices(app: HttpApp, { getPrice, getPricesBatch }: PriceRoutes): void {
  app.post("/api/v1/price", async (c) => {
    const context = await parseBody(c, priceRequest);
    const result = await getPrice(context, c.req.header(ticketHeader));
    switch (result.kind) {
      case "priced":
        return c.body(new Uint8Array(result.body), 200, { "content-type": "application/json" });
      case "unknown_product":
        throw unknownProduct(context.product_id);
      case "currency_not_sold":
        throw currencyNotSold(context.product_id, result.currency);
      default:
        return assertNever(result);
    }
  });
  // A pattern and not a path: the router takes ":batch" for a parameter, and then /api/v1/pricesX would match.
  app.post("/api/v1/:batch{prices:batch}", async (c) =>
    c.json(await getPricesBatch(await parseBody(c, priceBatchRequest))),
  );
}
