import type { PriceRequest } from "@pricing-engine/contracts";
import { query } from "@pricing-engine/postgres";
import { type Computed, decodeTicket, flightKey, type ReadThrough, readThrough } from "@pricing-engine/price-cache";
import { quoteMetrics } from "../adapters/metrics.ts";
import { type QuoteBasis, readQuoteBases } from "../adapters/quote-reader.ts";
import type { Policy } from "../domain/policy.ts";
import { coalesceReads } from "./coalesce-reads.ts";
import { decidePrice } from "./decide-price.ts";
import { deadlineMs } from "./deps.ts";
import type { ReadDeps } from "./read-deps.ts";
import { makeSingleFlight } from "./single-flight.ts";

export type PriceResult =
  | { readonly kind: "priced"; readonly body: Buffer }
  | { readonly kind: "unknown_product" }
  | { readonly kind: "currency_not_sold"; readonly currency: string };

/** `ticket` is what the gateway saw when it missed, if it did. */
export type GetPrice = (context: PriceRequest, ticket?: string) => Promise<PriceResult>;

/** What a flight brings, and until when others may have it too. */
type Flown = { readonly result: PriceResult; readonly keepMs: number };

// Longer than it takes the slowest of several gateways to ask for what they all missed.
const maxKeepMs = 250;
const maxReads = 2;
const maxProductsPerRead = 100;

/**
 * One customer's price as ready bytes: from the cache, or computed from one snapshot of Postgres and kept. Concurrent
 * misses that saw the same state of the cache are computed once.
 */
export function makeGetPrice(deps: ReadDeps): GetPrice {
  const { cache, pool, policies, settings, signer } = deps;
  const join = makeSingleFlight<Flown>(({ keepMs }) => keepMs);
  const read = coalesceReads({
    maxInFlight: maxReads,
    maxKeys: maxProductsPerRead,
    readMany: (productIds) =>
      query(pool, deadlineMs, async (on) => {
        const bases = await readQuoteBases(on, productIds);
        const found = new Map<string, { basis: QuoteBasis; policy: Policy }>();
        for (const [productId, basis] of bases) {
          found.set(productId, { basis, policy: (await policies.get(on, basis.policyVersion)).policy });
        }
        return found;
      }),
  });

  async function compute(context: PriceRequest): Promise<Computed<Flown>> {
    // Before the database's clock is read, so that what is kept ends a moment early and never late.
    const startedMs = performance.now();
    quoteMetrics.computed.inc();
    const found = await read(context.product_id);
    if (found === undefined) return { value: { result: { kind: "unknown_product" }, keepMs: 0 } };
    const decision = decidePrice({ ...found, context }, { settings: settings(), signer });
    if (!decision.ok)
      return { value: { result: { kind: "currency_not_sold", currency: decision.currency }, keepMs: 0 } };
    const { response, cacheTtlMs } = decision.decided;
    const ttlMs = cacheTtlMs - (performance.now() - startedMs);
    return {
      value: { result: { kind: "priced", body: encode(response, "database") }, keepMs: Math.min(maxKeepMs, ttlMs / 2) },
      cacheable: {
        facts: { sequence: found.basis.sequence, policyVersion: found.basis.policyVersion },
        body: encode(response, "cache"),
        ttlMs,
      },
    };
  }

  return async (context, ticketText) => {
    let ticket = decodeTicket(ticketText, context, performance.now());
    if (ticket === undefined) {
      const lookup = await cache.lookup(context);
      if (lookup.outcome === "hit") return { kind: "priced", body: lookup.body };
      ticket = lookup.ticket;
    }
    const fly = async (): Promise<Flown> => flownOf(await readThrough(cache, context, () => compute(context), ticket));
    const key = flightKey(ticket);
    const flown = await (key === undefined ? fly() : join(key, fly));
    return flown.result;
  };
}

function flownOf(read: ReadThrough<Flown>): Flown {
  return read.source === "cache" ? { result: { kind: "priced", body: read.body }, keepMs: 0 } : read.value;
}

function encode(response: object, source: "database" | "cache"): Buffer {
  return Buffer.from(JSON.stringify({ ...response, source }));
}
