import {
  type Attributes,
  type Context,
  context,
  type Link,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from "@opentelemetry/api";
import { AppError, errorCatalogue } from "../errors/index.ts";
import { makeSpanId, makeTraceId } from "./ids.ts";
import { activeTracer } from "./start-telemetry.ts";

export type SpanOptions = {
  kind?: SpanKind;
  attributes?: Attributes;
  links?: Link[];
  /** What the span belongs under; the current context when left out. */
  parent?: Context;
};

/**
 * Starts a span with real ids. When nothing is recorded it only carries them: a few hundred nanoseconds, no allocation
 * beyond the context.
 */
export function startSpan(name: string, options: SpanOptions = {}): Span {
  const { kind = SpanKind.INTERNAL, attributes, links, parent = context.active() } = options;
  const tracer = activeTracer();
  if (tracer !== undefined) {
    const rest = { ...(attributes === undefined ? {} : { attributes }), ...(links === undefined ? {} : { links }) };
    return tracer.startSpan(name, { kind, ...rest }, parent);
  }
  const above = trace.getSpanContext(parent);
  return trace.wrapSpanContext({
    traceId: above?.traceId ?? makeTraceId(),
    spanId: makeSpanId(),
    traceFlags: above?.traceFlags ?? TraceFlags.NONE,
    ...(above?.traceState === undefined ? {} : { traceState: above.traceState }),
  });
}

/** Runs `fn` under a span that ends with it; a fault of ours (5xx or unknown) marks the span as failed. */
export async function withSpan<Result>(
  name: string,
  options: SpanOptions,
  fn: (span: Span) => Result | Promise<Result>,
): Promise<Result> {
  const span = startSpan(name, options);
  const inside = trace.setSpan(options.parent ?? context.active(), span);
  try {
    return await context.with(inside, fn, undefined, span);
  } catch (error) {
    recordError(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** Marks the span as failed, unless the error is an answer that the caller asked for (4xx). */
export function recordError(span: Span, error: unknown): void {
  const code = error instanceof AppError ? error.code : "internal";
  span.setAttribute("error.type", code);
  if (errorCatalogue[code].status < 500) return;
  if (error instanceof Error) span.recordException(error);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

/** Adds `traceparent` (and `tracestate`) of the current span to the headers of a message or call. */
export function injectHeaders(
  carrier: Record<string, string>,
  from: Context = context.active(),
): Record<string, string> {
  propagation.inject(from, carrier);
  return carrier;
}

/** The context that a message or request came with; the root context when it has none or a broken one. */
export function extractContext(carrier: Readonly<Record<string, string | string[] | undefined>>): Context {
  return propagation.extract(rootContext, carrier);
}

const rootContext = trace.deleteSpan(context.active());

/** Of a `traceparent`: 32 hex digits, or undefined. */
export function findTraceId(traceparent: string | undefined): string | undefined {
  return traceparent?.match(/^[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}$/)?.[1];
}

/** 32 hex digits: the current trace's, or a new one's outside any span. Never zeros. */
export function currentTraceId(): string {
  return trace.getSpanContext(context.active())?.traceId ?? makeTraceId();
}
