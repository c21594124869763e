import type { HttpApp } from "@pricing-engine/chassis/http";
import { makeExplainPrice } from "../usecases/explain-price.ts";
import { type GetPrice, makeGetPrice } from "../usecases/get-price.ts";
import { makeGetPriceHistory } from "../usecases/get-price-history.ts";
import { makeGetPricesBatch } from "../usecases/get-prices-batch.ts";
import { makeQuoteOrder } from "../usecases/quote-order.ts";
import type { ReadDeps } from "../usecases/read-deps.ts";
import { makeSimulatePolicy } from "../usecases/simulate-policy.ts";
import { mountExplain } from "./explain.ts";
import { mountHistory } from "./history.ts";
import { mountPrices } from "./price.ts";
import { mountQuotes } from "./quotes.ts";
import { mountSimulations } from "./simulations.ts";

/** Every route that changes nothing; gives back the verb for one price, whose computations others may share. */
export function mountReads(app: HttpApp, deps: ReadDeps): { readonly getPrice: GetPrice } {
  const getPrice = makeGetPrice(deps);
  mountPrices(app, { getPrice, getPricesBatch: makeGetPricesBatch(deps) });
  mountQuotes(app, makeQuoteOrder(deps));
  mountExplain(app, makeExplainPrice(deps));
  mountHistory(app, makeGetPriceHistory(deps));
  mountSimulations(app, makeSimulatePolicy(deps));
  return { getPrice };
}
