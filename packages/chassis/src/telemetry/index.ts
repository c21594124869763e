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
  findTraceId,
  injectHeaders,
  recordError,
  type SpanOptions,
  startSpan,
  withSpan,
} from "./span.ts";
export { startTelemetry, type TelemetryOptions } from "./start-telemetry.ts";
