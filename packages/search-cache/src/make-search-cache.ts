import { makePriceCache, type PriceCache, readThrough } from "@pricing-engine/price-cache";
import type { GuardedRedis } from "@pricing-engine/redis";
import { decodeAnswer, encodeAnswer, type SearchAnswer } from "./answer.ts";
import { type SearchWindow, windowKey } from "./search-window.ts";

/** How long an answer is kept, milliseconds. */
const ttlMs = 5 * 60_000;
/** Larger answers are made anew each time. */
export const maxCachedBytes = 512 * 1024;

/** An answer with the revision of the catalogue that it was read from, in one snapshot. */
export type RevisedAnswer = { readonly answer: SearchAnswer; readonly revision: number };

export type SearchCache = {
  /** Undefined: not there, or Redis is away. Never rejects. */
  find(window: SearchWindow): Promise<SearchAnswer | undefined>;
  /** A hit, or what `compute` reads after the question was asked. Rejects only as `compute` does. */
  readThrough(window: SearchWindow, compute: () => Promise<RevisedAnswer>): Promise<SearchAnswer>;
  /** Makes answers of older revisions stale. Rejects while Redis is away. */
  markRevision(revision: number): Promise<void>;
};

const marker = "catalogue";

/**
 * The price cache's protocol with one "product", the catalogue: an answer counts only while no update of the catalogue is known
 * that it does not show. Its keys lie beside those of prices, with a generation of their own.
 */
export function makeSearchCache(deps: {
  redis: GuardedRedis;
  prefix: string;
  onError?: (error: unknown) => void;
}): SearchCache {
  return makeSearchCacheOn(makePriceCache({ ...deps, prefix: `${deps.prefix}search-` }));
}

export function makeSearchCacheOn(cache: PriceCache): SearchCache {
  const contextOf = (window: SearchWindow) => ({ product_id: marker, user_location: windowKey(window) });
  return {
    async find(window) {
      const lookup = await cache.lookup(contextOf(window));
      return lookup.outcome === "hit" ? decodeAnswer(lookup.body) : undefined;
    },
    async readThrough(window, compute) {
      const read = await readThrough(cache, contextOf(window), async () => {
        const { answer, revision } = await compute();
        const body = encodeAnswer(answer);
        // Without a time to live only the marker is raised: what was shown stays known.
        const keepMs = body.length > maxCachedBytes ? 0 : ttlMs;
        return { value: answer, cacheable: { facts: { sequence: revision, policyVersion: 0 }, body, ttlMs: keepMs } };
      });
      return read.source === "cache" ? decodeAnswer(read.body) : read.value;
    },
    markRevision: (revision) => cache.markSequences([{ productId: marker, sequence: revision }]),
  };
}
