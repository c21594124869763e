import { addLogFields, type HttpEnv, parseBody } from "@pricing-engine/chassis/http";
import { counter } from "@pricing-engine/chassis/metrics";
import { context } from "@pricing-engine/chassis/telemetry";
import { priceRequest } from "@pricing-engine/contracts";
import type { PriceCache, Ticket } from "@pricing-engine/price-cache";
import type { Handler } from "hono";
import type { AskPrice, PriceAnswer } from "../usecases/ask-price.ts";

export const lookupsTotal = counter({
  name: "pricing_engine_price_cache_lookups_total",
  help: "Price requests by what the cache gave: hit, miss (pricing was asked), or away (Redis was not to be had).",
  labels: ["outcome"],
});

/** What the front has found out about a request that it leaves to the app. */
export type FrontFindings = {
  ticket: Ticket;
  /** When pricing was asked already. */
  answer?: Promise<PriceAnswer>;
};

export type PriceRouteDeps = {
  cache: PriceCache;
  askPrice: AskPrice;
  findings: WeakMap<Request, FrontFindings>;
};

/** `POST /api/v1/price`: the stored bytes, else pricing's answer. */
export function priceRoute({ cache, askPrice, findings }: PriceRouteDeps): Handler<HttpEnv> {
  return async (c) => {
    const request = await parseBody(c, priceRequest);
    const found = findings.get(c.req.raw);
    let ticket = found?.ticket;
    if (ticket === undefined) {
      const lookup = await cache.lookup(request);
      if (lookup.outcome === "hit") {
        lookupsTotal.inc({ outcome: "hit" });
        addLogFields(c, { cache: "hit" });
        return new Response(new Uint8Array(lookup.body), { headers: { "content-type": "application/json" } });
      }
      ticket = lookup.ticket;
    }
    const outcome = ticket.generation === undefined ? "away" : "miss";
    // What the front has asked for it has counted.
    if (found?.answer === undefined) lookupsTotal.inc({ outcome });
    addLogFields(c, { cache: outcome });
    const { tenant } = c.get("caller");
    const miss = { request, ticket, parent: context.active(), correlationId: c.get("correlationId"), tenant };
    const { status, headers, body } = await (found?.answer ?? askPrice(miss));
    return new Response(new Uint8Array(body), { status, headers });
  };
}
