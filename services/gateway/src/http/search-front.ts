import type { IncomingMessage, ServerResponse } from "node:http";
import type { HttpApp } from "@pricing-engine/chassis/http";
import type { Logger } from "@pricing-engine/chassis/log";
import { histogram } from "@pricing-engine/chassis/metrics";
import { extractContext, SpanKind, startSpan } from "@pricing-engine/chassis/telemetry";
import type { GatewaySettings } from "@pricing-engine/contracts";
import { parseQueryString, parseSearchWindow, type SearchAnswer, type SearchCache } from "@pricing-engine/search-cache";
import type { Keyring } from "../adapters/keyring.ts";
import { anonymous, parseBearer } from "../domain/access.ts";
import { isLimited } from "../domain/rate-limit.ts";
import { searchHeaders, searchLookups } from "./search.ts";

const path = "/search";
const saneCorrelationId = /^[\w.:/+=@-]{1,128}$/;
// One log line in so many hits; a hit whose trace is recorded always has one. The metrics count them all.
const loggedEvery = 100;
const maxTargetLength = 1024;

export type SearchFrontDeps = {
  app: HttpApp;
  cache: SearchCache;
  keyring: Keyring;
  settings: () => GatewaySettings;
  logger: Logger;
};

/**
 * Answers warm searches straight on Node's server, as the price front does with prices: only a known caller, a window that can be
 * read and a valid entry are handled here. Everything else goes through the app, and so does whoever wants it compressed or asks
 * whether it changed.
 */
export function makeSearchFront(
  deps: SearchFrontDeps,
): (incoming: IncomingMessage, outgoing: ServerResponse) => boolean {
  const { app, cache, keyring, settings, logger } = deps;
  const hitSeconds = histogram({
    name: "pricing_engine_http_request_duration_seconds",
    help: "Time from the first byte of a request to its answer, by route pattern.",
    labels: ["service", "method", "route", "status"],
  }).labels({ service: "gateway", method: "GET", route: path, status: "2xx" });
  const hits = searchLookups.labels({ outcome: "hit" });
  let served = 0;

  function findTenant(incoming: IncomingMessage, { auth }: GatewaySettings): string | undefined {
    if (auth === "none") return anonymous.tenant;
    const key = parseBearer(incoming.headers.authorization);
    return key === undefined ? undefined : keyring.findKnown(key)?.tenant;
  }

  function sendHit(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    answer: SearchAnswer,
    hit: { startedMs: number; tenant: string },
  ): void {
    const { traceparent, tracestate, "x-correlation-id": sent } = incoming.headers;
    const parent = traceparent === undefined ? undefined : extractContext({ traceparent, tracestate });
    const span = startSpan(`GET ${path}`, { kind: SpanKind.SERVER, ...(parent === undefined ? {} : { parent }) });
    const { traceId, spanId, traceFlags } = span.spanContext();
    const correlationId = typeof sent === "string" && saneCorrelationId.test(sent) ? sent : traceId;
    outgoing.writeHead(200, {
      ...searchHeaders(answer),
      "content-length": answer.body.length,
      vary: "Accept-Encoding",
      traceparent: `00-${traceId}-${spanId}-0${traceFlags & 1}`,
      "x-correlation-id": correlationId,
    });
    outgoing.end(answer.body);
    const durationMs = performance.now() - hit.startedMs;
    hitSeconds.observe(durationMs / 1_000);
    hits.inc();
    served += 1;
    const recording = span.isRecording();
    if (recording) {
      span.setAttributes({ "http.request.method": "GET", "http.route": path, "http.response.status_code": 200 });
    }
    span.end();
    if (!recording && served % loggedEvery !== 0) return;
    const event = { method: "GET", route: path, status: 200, durationMs, traceId, correlationId };
    logger.info({ ...event, tenant: hit.tenant, cache: "hit", served }, "request");
  }

  /** The app looks into the cache once more: it may be filled by now. */
  async function replay(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const headers: [string, string][] = [];
    const { rawHeaders } = incoming;
    for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
      headers.push([rawHeaders[index] ?? "", rawHeaders[index + 1] ?? ""]);
    }
    const response = await app.fetch(new Request(`http://gateway${incoming.url ?? path}`, { headers }), {});
    outgoing.writeHead(response.status, [...response.headers].flat());
    if (response.body !== null) {
      for await (const chunk of response.body) {
        if (!outgoing.write(chunk) && !outgoing.destroyed) {
          await new Promise<void>((resolve) => {
            outgoing.once("drain", resolve);
            outgoing.once("close", resolve);
          });
        }
        if (outgoing.destroyed) break;
      }
    }
    outgoing.end();
  }

  return (incoming, outgoing) => {
    const { url = "", method, headers } = incoming;
    if (method !== "GET" || !(url === path || url.startsWith(`${path}?`)) || url.length > maxTargetLength) return false;
    if (headers["accept-encoding"] !== undefined || headers["if-none-match"] !== undefined) return false;
    if (headers.origin !== undefined || headers["content-length"] !== undefined) return false;
    if (headers["transfer-encoding"] !== undefined) return false;
    const gateway = settings();
    if (isLimited(gateway.rateLimit, "GET", path)) return false;
    const tenant = findTenant(incoming, gateway);
    if (tenant === undefined) return false;
    const query = parseQueryString(url);
    const parsed = query === undefined ? undefined : parseSearchWindow(query);
    if (parsed?.ok !== true) return false;
    const startedMs = performance.now();
    const answer = async (): Promise<void> => {
      const found = await cache.find(parsed.window);
      if (found === undefined) await replay(incoming, outgoing);
      else sendHit(incoming, outgoing, found, { startedMs, tenant });
    };
    answer().catch((error: unknown) => {
      logger.error({ err: error }, "a search failed outside the app");
      outgoing.destroy();
    });
    return true;
  };
}
