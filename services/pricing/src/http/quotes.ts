import { type HttpApp, parseBody } from "@pricing-engine/chassis/http";
import { quotesRequest } from "@pricing-engine/contracts";
import type { QuoteOrder } from "../usecases/quote-order.ts";

/** `POST /internal/quotes`: for the orders service alone, the gateway does not lead here. */
export function mountQuotes(app: HttpApp, quoteOrder: QuoteOrder): void {
  app.post("/internal/quotes", async (c) => c.json(await quoteOrder(await parseBody(c, quotesRequest))));
}
