import { context, propagation, type Tracer } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import type { Lifecycle } from "../lifecycle/index.ts";

// Context and propagation work without an endpoint too: trace ids are real, and pass on what a caller sent.
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());

let tracer: Tracer | undefined;

/** The tracer that records, when one was started. */
export function activeTracer(): Tracer | undefined {
  return tracer;
}

export type TelemetryOptions = {
  serviceName: string;
  /** Base URL of an OTLP/HTTP collector; spans go to `<endpoint>/v1/traces`. Without one nothing is recorded. */
  endpoint?: string | undefined;
  /** Share of new traces that are recorded, 0…1; a caller's decision wins. */
  sampleRatio: number;
  lifecycle: Lifecycle;
};

/** Starts recording spans; they leave in batches, and the last ones when the lifecycle ends. */
export async function startTelemetry({
  serviceName,
  endpoint,
  sampleRatio,
  lifecycle,
}: TelemetryOptions): Promise<void> {
  if (endpoint === undefined) return;
  // The SDK is a tenth of a process' memory: loaded where it is used.
  const { makeProvider } = await import("./provider.ts");
  const provider = makeProvider({ serviceName, endpoint, sampleRatio });
  tracer = provider.getTracer("pricing-engine");
  lifecycle.defer("telemetry", async () => {
    tracer = undefined;
    // What no collector takes within its time is lost; the process has ended as it should all the same.
    await provider.shutdown().catch(() => undefined);
  });
}
