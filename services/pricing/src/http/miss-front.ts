import type { IncomingMessage, ServerResponse } from "node:http";
import { AppError, assertNever, errorCatalogue, toProblem } from "@pricing-engine/chassis/errors";
import { type Logger, makePlainLogger } from "@pricing-engine/chassis/log";
import { histogram } from "@pricing-engine/chassis/metrics";
import { context, extractContext, SpanKind, startSpan, trace } from "@pricing-engine/chassis/telemetry";
import { findPlainPriceRequest, type PriceRequest, priceRequest } from "@pricing-engine/contracts";
import { encodeAnswers, type MissAnswer, maxMissesPerBatch, missBatchPath } from "@pricing-engine/price-cache";
import type { GetPrice } from "../usecases/get-price.ts";
import { currencyNotSold, unknownProduct } from "../usecases/price-errors.ts";

// 128 contexts with every text as long as it may be, in escapes.
const maxBodyBytes = 1024 * 1024;

/** What was asked: a context that is no good is answered in its place. */
type Asked = { request: PriceRequest; ticket: string | undefined; traceId: string };

/**
 * Answers the misses that a gateway gathered (`miss-batch.ts` in price-cache says how), in front of the app: one
 * request, one span and one log event for all of them. Each is priced as `POST /api/v1/price` would, also its problems.
 */
export function makeMissFront({
  getPrice,
  logger,
}: {
  getPrice: GetPrice;
  logger: Logger;
}): (incoming: IncomingMessage, outgoing: ServerResponse) => boolean {
  const durationSeconds = histogram({
    name: "pricing_engine_http_request_duration_seconds",
    help: "Time from the first byte of a request to its answer, by route pattern.",
    labels: ["service", "method", "route", "status"],
  });
  const events = makePlainLogger(logger);
  const labels = { service: "pricing-api", method: "POST", route: missBatchPath };

  async function answerOne(miss: Asked): Promise<MissAnswer> {
    try {
      return await priceOne(getPrice, miss);
    } catch (error) {
      const { code } = toProblem(error, miss.traceId);
      const { logLevel, status } = errorCatalogue[code];
      if (status >= 500) logger[logLevel]({ err: error, code, traceId: miss.traceId }, "a miss failed");
      return toAnswer(error, miss.traceId);
    }
  }

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse, bytes: Buffer): Promise<void> {
    const startedMs = performance.now();
    const { traceparent, tracestate } = incoming.headers;
    const parent = extractContext({ traceparent, tracestate });
    const span = startSpan(`POST ${missBatchPath}`, { kind: SpanKind.SERVER, parent });
    const asked = parseAsked(bytes);
    const status = asked === undefined ? 400 : 200;
    let failed = 0;
    if (asked === undefined) {
      const { traceId } = span.spanContext();
      const problem = JSON.stringify(toProblem(new AppError("validation_failed"), traceId));
      outgoing.writeHead(400, { "content-type": "application/problem+json", "content-length": problem.length });
      outgoing.end(problem);
    } else {
      const answers = await context.with(trace.setSpan(parent, span), () =>
        Promise.all(asked.map((miss) => answerOne(miss))),
      );
      failed = answers.filter(({ status: of }) => of >= 500).length;
      const body = encodeAnswers(answers);
      outgoing.writeHead(200, { "content-type": "text/plain", "content-length": body.length });
      outgoing.end(body);
    }
    const durationMs = performance.now() - startedMs;
    durationSeconds.observe({ ...labels, status: `${status / 100}xx` }, durationMs / 1_000);
    span.setAttributes({
      "http.request.method": "POST",
      "http.route": missBatchPath,
      "http.response.status_code": status,
    });
    span.end();
    const event = { method: "POST", route: missBatchPath, status, misses: asked?.length ?? 0, failed };
    events.info({ ...event, durationMs, traceId: span.spanContext().traceId }, "request");
  }

  return (incoming, outgoing) => {
    if (incoming.url !== missBatchPath || incoming.method !== "POST") return false;
    if (!(Number(incoming.headers["content-length"]) <= maxBodyBytes)) return false;
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      answer(incoming, outgoing, Buffer.concat(chunks)).catch((error: unknown) => {
        logger.error({ err: error }, "misses were not answered");
        outgoing.destroy();
      });
    });
    // The server's time-outs end a body that does not come; there is nobody left to answer.
    incoming.on("error", () => undefined);
    return true;
  };
}

/** Undefined when it is not what a gateway sends. */
function parseAsked(bytes: Buffer): Asked[] | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed) || parsed.length > maxMissesPerBatch) return undefined;
  const asked: Asked[] = [];
  for (const item of parsed as unknown[]) {
    if (typeof item !== "object" || item === null || !("context" in item) || !("traceId" in item)) return undefined;
    const { context: sent, traceId, ticket } = item as { context: unknown; traceId: unknown; ticket?: unknown };
    const request = findRequest(sent);
    if (request === undefined || typeof traceId !== "string") return undefined;
    asked.push({ request, traceId, ticket: typeof ticket === "string" ? ticket : undefined });
  }
  return asked;
}

function findRequest(sent: unknown): PriceRequest | undefined {
  const plain = findPlainPriceRequest(sent);
  if (plain === undefined) return priceRequest.safeParse(sent).data;
  const { product_id, user_location = "", segment = "" } = plain;
  for (const text of [product_id, user_location, segment]) {
    if (text.includes("\0") || !text.isWellFormed()) return undefined;
  }
  return plain;
}

async function priceOne(getPrice: GetPrice, { request, ticket, traceId }: Asked): Promise<MissAnswer> {
  const result = await getPrice(request, ticket);
  switch (result.kind) {
    case "priced":
      return { status: 200, retryAfterSeconds: undefined, body: result.body };
    case "unknown_product":
      return toAnswer(unknownProduct(request.product_id), traceId);
    case "currency_not_sold":
      return toAnswer(currencyNotSold(request.product_id, result.currency), traceId);
    default:
      return assertNever(result);
  }
}

function toAnswer(error: unknown, traceId: string): MissAnswer {
  const problem = toProblem(error, traceId);
  const asked = error instanceof AppError ? error.retryAfterSeconds : undefined;
  const retryAfterSeconds = asked === undefined ? (problem.status === 503 ? 1 : undefined) : Math.ceil(asked);
  return { status: problem.status, retryAfterSeconds, body: Buffer.from(JSON.stringify(problem)) };
}
