import { registry } from "@pricing-engine/chassis/metrics";
import { expect, test } from "vitest";
import type { EngineStatus, ProcessorStatus } from "../api/status.ts";
import { makeEngineMetrics } from "./engine-metrics.ts";

test("a processor of which nothing is known is neither up nor down", async () => {
  const metrics = makeEngineMetrics();
  const is = (name: string, state: ProcessorStatus["state"]): ProcessorStatus => {
    return { name, state, latency: "5ms", since: "2026-01-01T00:00:00.000Z" };
  };
  const seen = async (cheap: ProcessorStatus["state"], fallback: ProcessorStatus["state"]) => {
    const rest = { conditions: [], workers: [], partitions: [], sources: [], notImplemented: [] };
    const status: EngineStatus = {
      observedGeneration: 1,
      ...rest,
      processors: [is("default", cheap), is("fallback", fallback)],
    };
    metrics.set("shops/shop", status);
    const lines = (await registry.metrics()).split("\n");
    return lines.flatMap(
      (line) => /^pricing_engine_processor_up\{.*processor="(\w+)".*\} (\d)$/.exec(line)?.slice(1).join(" ") ?? [],
    );
  };
  expect(await seen("Healthy", "Down")).toEqual(["default 1", "fallback 0"]);
  expect(await seen("Unknown", "Down")).toEqual(["fallback 0"]);
  expect(await seen("Degraded", "Unknown")).toEqual(["default 1"]);
  metrics.forget("shops/shop");
});
