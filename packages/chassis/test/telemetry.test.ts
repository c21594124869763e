import { startOtlpCollector } from "@pricing-engine/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { AppError } from "../src/errors/index.ts";
import { type Lifecycle, makeLifecycle } from "../src/lifecycle/index.ts";
import { makeLogger } from "../src/log/index.ts";
import { currentTraceId, extractContext, SpanKind, startTelemetry, withSpan } from "../src/telemetry/index.ts";

let collector: Awaited<ReturnType<typeof startOtlpCollector>>;
let lifecycle: Lifecycle;

beforeEach(async () => {
  collector = await startOtlpCollector();
  lifecycle = makeLifecycle({ logger: makeLogger({ name: "test", level: "silent" }), graceMs: 10_000 });
});
afterEach(async () => {
  await lifecycle.shutdown("test");
  await collector.close();
});

const start = (sampleRatio: number) =>
  startTelemetry({ serviceName: "tested", endpoint: collector.endpoint, sampleRatio, lifecycle });
const traceId = "0af7651916cd43dd8448eb211c80319c";
const from = (flags: "00" | "01") => extractContext({ traceparent: `00-${traceId}-b7ad6b7169203331-${flags}` });

it("sends every span when the lifecycle ends, the last ones too", async () => {
  await start(1);
  await withSpan("outer", { kind: SpanKind.SERVER, attributes: { answer: 42 } }, () =>
    withSpan("inner", {}, () => undefined),
  );
  await withSpan("refused", {}, () => Promise.reject(new AppError("not_found"))).catch(() => undefined);
  await withSpan("broken", {}, () => Promise.reject(new Error("bug"))).catch(() => undefined);
  await lifecycle.shutdown("test");
  const spans = new Map(collector.spans().map((span) => [span.name, span]));
  expect([...spans.keys()].toSorted()).toEqual(["broken", "inner", "outer", "refused"]);
  const outer = spans.get("outer");
  expect(outer).toMatchObject({ serviceName: "tested", kind: "server", attributes: { answer: 42 }, status: "unset" });
  expect(spans.get("inner")).toMatchObject({ traceId: outer?.traceId, parentSpanId: outer?.spanId });
  // What a caller asked for wrongly is no fault of the service.
  expect(spans.get("refused")?.status).toBe("unset");
  expect(spans.get("broken")?.status).toBe("error");
});

it("records none of the new traces at a ratio of 0, but those that a caller records", async () => {
  await start(0);
  const own = await withSpan("own", {}, () => currentTraceId());
  expect(own).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
  await withSpan("recorded by the caller", { parent: from("01") }, () => expect(currentTraceId()).toBe(traceId));
  await lifecycle.shutdown("test");
  expect(collector.spans().map(({ name }) => name)).toEqual(["recorded by the caller"]);
});

it("records nothing that a caller chose not to record, whatever the ratio", async () => {
  await start(1);
  await withSpan("not recorded", { parent: from("00") }, () => expect(currentTraceId()).toBe(traceId));
  await withSpan("own", {}, () => undefined);
  await lifecycle.shutdown("test");
  expect(collector.spans().map(({ name }) => name)).toEqual(["own"]);
});

it("records a share of new traces", async () => {
  await start(0.25);
  for (let count = 0; count < 1_000; count += 1) await withSpan("one", {}, () => undefined);
  await lifecycle.shutdown("test");
  // Ten standard deviations to either side.
  expect(collector.spans().length).toBeGreaterThan(110);
  expect(collector.spans().length).toBeLessThan(390);
});

it("ends in time though the collector is away, and goes on without it", async () => {
  await start(1);
  await collector.close();
  await withSpan("lost", {}, () => undefined);
  expect(await lifecycle.shutdown("test")).toBe(true);
  expect(await withSpan("after", {}, () => currentTraceId())).toMatch(/^[0-9a-f]{32}$/);
});
