import { ROOT_CONTEXT, type SpanContext } from "@opentelemetry/api";
import type { MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import { AppError, errorCatalogue } from "../errors/index.ts";
import type { Logger } from "../log/index.ts";
import { counter, histogram } from "../metrics/index.ts";
import { context, extractContext, recordError, SpanKind, startSpan, trace } from "../telemetry/index.ts";
import { answerThenDrain } from "./drain.ts";
import type { HttpContext, HttpEnv } from "./make-http-app.ts";

const durationSeconds = histogram({
  name: "pricing_engine_http_request_duration_seconds",
  help: "Time from the first byte of a request to its answer, by route pattern.",
  labels: ["service", "method", "route", "status"],
  buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
});
const errorsTotal = counter({
  name: "pricing_engine_http_errors_total",
  help: "Requests answered with an error of the catalogue.",
  labels: ["service", "route", "code"],
});

const knownMethods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const saneCorrelationId = /^[\w.:/+=@-]{1,128}$/;

/**
 * First middleware of every app: span, correlation id, RED metrics and the one log line of a request. It is one
 * function and not four because it is on the path of every cache hit.
 */
export function observeRequests({ logger, name }: { logger: Logger; name: string }): MiddlewareHandler<HttpEnv> {
  return createMiddleware<HttpEnv>(async (c, next) => {
    const startedMs = performance.now();
    const traceparent = c.req.header("traceparent");
    const parent =
      traceparent === undefined
        ? ROOT_CONTEXT
        : extractContext({ traceparent, tracestate: c.req.header("tracestate") });
    const span = startSpan(c.req.method, { kind: SpanKind.SERVER, parent });
    const ids = span.spanContext();
    const sent = c.req.header("x-correlation-id");
    const correlationId = sent !== undefined && saneCorrelationId.test(sent) ? sent : ids.traceId;
    c.set("correlationId", correlationId);
    const fields: Record<string, unknown> = {};
    c.set("logFields", fields);

    await context.with(trace.setSpan(parent, span), next);

    setIdHeaders(c, formatTraceparent(ids), correlationId);
    const { status } = c.res;
    const route = routeOf(c);
    const method = knownMethods.has(c.req.method) ? c.req.method : "OTHER";
    const durationMs = performance.now() - startedMs;
    durationSeconds.observe(
      { service: name, method, route, status: `${Math.trunc(status / 100)}xx` },
      durationMs / 1_000,
    );
    if (c.error !== undefined) {
      const code = c.error instanceof AppError ? c.error.code : "internal";
      errorsTotal.inc({ service: name, route, code });
      recordError(span, c.error);
    }
    if (span.isRecording()) {
      span.updateName(`${method} ${route}`);
      span.setAttributes({ "http.request.method": method, "http.route": route, "http.response.status_code": status });
    }
    span.end();
    const event = { method, route, status, durationMs: Math.round(durationMs * 1_000) / 1_000, traceId: ids.traceId };
    writeEvent(logger, { ...event, correlationId, ...fields }, c.error);

    const incoming = c.env?.incoming;
    const isUnread = incoming !== undefined && !incoming.complete && status >= 400;
    if (isUnread) c.res = await answerThenDrain(c.res, incoming);
  });
}

function writeEvent(logger: Logger, event: Record<string, unknown>, error: Error | undefined): void {
  if (error === undefined) {
    logger.info(event, "request");
    return;
  }
  const code = error instanceof AppError ? error.code : "internal";
  const { logLevel, status } = errorCatalogue[code];
  // A refused request is the client's affair: its code says all. A fault of ours needs the cause and the stack.
  logger[logLevel]({ ...event, code, ...(status >= 500 ? { err: error } : { detail: error.message }) }, "request");
}

function routeOf(c: HttpContext): string {
  const pattern = routePath(c, -1);
  return pattern === "" || pattern === "/*" || pattern === "*" ? "unmatched" : pattern;
}

function formatTraceparent({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

function setIdHeaders(c: HttpContext, traceparent: string, correlationId: string): void {
  try {
    c.res.headers.set("traceparent", traceparent);
  } catch {
    // The answer of a fetch has immutable headers.
    c.res = new Response(c.res.body, c.res);
    c.res.headers.set("traceparent", traceparent);
  }
  c.res.headers.set("x-correlation-id", correlationId);
}
