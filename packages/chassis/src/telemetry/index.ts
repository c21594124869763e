export {
  type Context,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  trace,
} from "@opentelemetry/api";
export {
  currentTraceId,
  extractContext,
  injectHeaders,
  recordError,
  type SpanOptions,
  startSpan,
  traceIdOf,
  withSpan,
} from "./span.ts";
export { startTelemetry, type TelemetryOptions } from "./start-telemetry.ts";
