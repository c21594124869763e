import { makeLifecycle } from "@pricing-engine/chassis/lifecycle";
import { makeLogger } from "@pricing-engine/chassis/log";
import { startTelemetry, withSpan } from "@pricing-engine/chassis/telemetry";
import { startOtlpCollector } from "@pricing-engine/testkit";
import { expect, test } from "vitest";
import { StillWaiting } from "../runtime/runtime.ts";
import { makeSteps } from "./steps.ts";

test("each step is a span of its pass: a fault marks it as failed, waiting does not", async () => {
  await using collector = await startOtlpCollector();
  const lifecycle = makeLifecycle({ logger: makeLogger({ name: "test", level: "silent" }), graceMs: 10_000 });
  await startTelemetry({ serviceName: "operator", endpoint: collector.endpoint, sampleRatio: 1, lifecycle });
  const steps = makeSteps({
    runtime: {
      ensureTopics: async () => undefined,
      claimDatabase: async () => undefined,
      migrate: async () => undefined,
      ensurePartitions: async () => [],
    },
    logger: { warn: () => undefined },
    nowMs: () => 0,
    onChange: () => undefined,
  });
  await withSpan("pass", {}, async () => {
    await steps.attempt("topics", "done", async () => undefined);
    await steps.attempt("schema", "done", () => Promise.reject(new StillWaiting("MigrationRuns", "a Job runs")));
    await steps.attempt("settings", "done", () => Promise.reject(new Error("away")));
  });
  await lifecycle.shutdown("test");
  const spans = new Map(collector.spans().map((span) => [span.name, span]));
  const pass = spans.get("pass")?.spanId;
  const seen = [...spans.values()].filter(({ name }) => name !== "pass");
  expect(seen.map(({ name, parentSpanId, status }) => [name, parentSpanId, status])).toEqual([
    ["step topics", pass, "unset"],
    ["step schema", pass, "unset"],
    ["step settings", pass, "error"],
  ]);
  expect(steps.state("schema")).toMatchObject({ state: "waiting", reason: "MigrationRuns" });
  expect(steps.state("settings")).toMatchObject({ state: "failed", message: "away" });
});
