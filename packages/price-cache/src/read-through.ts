import type { PriceContext } from "./context-key.ts";
import type { PriceCache } from "./make-price-cache.ts";
import type { Facts, Ticket } from "./protocol.ts";

/** What a computation gives back: its own value, and what of it may be kept (nothing for a 404). */
export type Computed<Value> = { value: Value; cacheable?: { facts: Facts; body: Buffer; ttlMs: number } };

export type ReadThrough<Value> = { source: "cache"; body: Buffer } | { source: "computed"; value: Value };

// Each further round means that another price was published meanwhile.
const maxRounds = 5;

/**
 * A hit, or what `compute` read from Postgres (the primary) after the ticket was issued. A fill that is refused makes
 * it compute again; after some rounds the last one is answered unkept: it was read after the request came.
 */
export async function readThrough<Value>(
  cache: PriceCache,
  context: PriceContext,
  compute: () => Promise<Computed<Value>>,
  firstTicket?: Ticket,
): Promise<ReadThrough<Value>> {
  let ticket = firstTicket;
  for (let round = 1; ; round += 1) {
    if (ticket === undefined) {
      const lookup = await cache.lookup(context);
      if (lookup.outcome === "hit") return { source: "cache", body: lookup.body };
      ticket = lookup.ticket;
    }
    const { value, cacheable } = await compute();
    if (cacheable === undefined) return { source: "computed", value };
    const fill = await cache.fill(ticket, cacheable.facts, cacheable.body, cacheable.ttlMs);
    if (fill.outcome === "kept") return { source: "cache", body: fill.body };
    if (fill.outcome !== "refused" || round === maxRounds) return { source: "computed", value };
    ticket = undefined;
  }
}
