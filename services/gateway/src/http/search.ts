import { AppError } from "@pricing-engine/chassis/errors";
import { addLogFields, type HttpEnv } from "@pricing-engine/chassis/http";
import { counter } from "@pricing-engine/chassis/metrics";
import { parseQueryString, parseSearchWindow, type SearchAnswer, type SearchCache } from "@pricing-engine/search-cache";
import type { Handler } from "hono";
import type { Upstream } from "../adapters/upstream.ts";
import { forward } from "./forward.ts";
import { ingestOperations } from "./operations.ts";

export const searchLookups = counter({
  name: "pricing_engine_search_cache_lookups_total",
  help: "Searches by what the cache gave: hit, or miss (ingest was asked).",
  labels: ["outcome"],
});

/** `GET /search`: the stored bytes, else ingest's answer. */
export function searchRoute(deps: { cache: SearchCache; upstream: Upstream }): Handler<HttpEnv> {
  const ask = forward(ingestOperations.search, deps.upstream);
  return async (c, next) => {
    const query = parseQueryString(c.req.url);
    if (query === undefined)
      throw new AppError("validation_failed", { detail: "the query is not percent-encoded UTF-8" });
    const parsed = parseSearchWindow(query);
    if (!parsed.ok) throw new AppError("validation_failed", { detail: parsed.message });
    const answer = await deps.cache.find(parsed.window);
    const outcome = answer === undefined ? "miss" : "hit";
    searchLookups.inc({ outcome });
    addLogFields(c, { cache: outcome });
    if (answer === undefined) return ask(c, next);
    return new Response(new Uint8Array(answer.body), { headers: searchHeaders(answer) });
  };
}

export function searchHeaders({ etag, link }: SearchAnswer): Record<string, string> {
  return { "content-type": "application/json", etag, ...(link === undefined ? {} : { link }) };
}
