import { trace } from "@pricing-engine/chassis/telemetry";
import { findPlainPriceRequest, type PriceRequest } from "@pricing-engine/contracts";
import type { PriceCache, Ticket } from "@pricing-engine/price-cache";
import type { AskPrice } from "../usecases/ask-price.ts";
import {
  type Front,
  type FrontCall,
  type FrontDeps,
  makeFront,
  makeFrontRecord,
  parsePlain,
  replay,
  sendPlain,
  startFrontSpan,
} from "./front.ts";
import { type FrontFindings, lookupsTotal } from "./price.ts";

const path = "/api/v1/price";
// Where a client may want the answer compressed; the app does that.
const maxPlainAnswerBytes = 1024;

export type PriceFrontDeps = FrontDeps & {
  cache: PriceCache;
  askPrice: AskPrice;
  findings: WeakMap<Request, FrontFindings>;
};

// The metrics count them all.
const loggedEvery = 1_000;

/**
 * Answers prices straight on Node's server; measured in docs/decisions/0005. Only the plain case is handled here: a known key, a small
 * valid JSON body without escapes, a valid entry or a price from pricing. Everything else, errors included, goes through the
 * app as if it had just arrived, so there is one place that says what an error looks like.
 */
export function makePriceFront(deps: PriceFrontDeps): Front {
  const { app, cache, askPrice, findings, logger } = deps;
  const record = makeFrontRecord(path, logger, loggedEvery);
  const lookups = { hit: lookupsTotal.labels({ outcome: "hit" }), miss: lookupsTotal.labels({ outcome: "miss" }) };

  async function answerMiss(call: FrontCall, bytes: Buffer, request: PriceRequest, ticket: Ticket): Promise<void> {
    const note = (found: FrontFindings) => ({ prepare: (again: Request) => void findings.set(again, found) });
    // While Redis is away nothing is shared, and the app's way is as good.
    if (ticket.generation === undefined) return replay(app, path, call, bytes, note({ ticket }));
    lookups.miss.inc();
    const begun = startFrontSpan(call.incoming, `POST ${path}`);
    const { span, parent, correlationId, traceparent } = begun;
    const answering = askPrice({
      request,
      ticket,
      parent: trace.setSpan(parent, span),
      correlationId,
      tenant: call.tenant,
    });
    const found = await answering.catch(() => undefined);
    if (found?.status === 200 && isPlain(call, found.body)) {
      sendPlain(call, begun, 200, found.body);
      record(call, begun, 200, { cache: "miss" });
      return;
    }
    span.end();
    // What pricing said, or that it said nothing: the app makes an answer of it, under the span that has begun.
    await replay(app, path, call, bytes, { ...note({ ticket, answer: answering }), traceparent });
  }

  return makeFront(deps, {
    path,
    role: "reader",
    async answer(call, bytes) {
      const request = findPlainPriceRequest(parsePlain(bytes));
      if (request === undefined) return replay(app, path, call, bytes);
      const lookup = await cache.lookup(request);
      if (lookup.outcome === "miss") return answerMiss(call, bytes, request, lookup.ticket);
      if (!isPlain(call, lookup.body)) return replay(app, path, call, bytes);
      const span = startFrontSpan(call.incoming, `POST ${path}`);
      sendPlain(call, span, 200, lookup.body);
      record(call, span, 200, { cache: "hit" });
      lookups.hit.inc();
    },
  });
}

/** Whether the client wants the bytes as they are. */
function isPlain({ incoming }: FrontCall, body: Buffer): boolean {
  return body.length <= maxPlainAnswerBytes || incoming.headers["accept-encoding"] === undefined;
}
