import { expect, test } from "vitest";
import type { EngineStatus, ProcessorStatus } from "../api/status.ts";
import { deriveConditions } from "../core/conditions.ts";
import { eventsOf } from "./condition-events.ts";

const at = "2026-01-01T00:00:00.000Z";
const done = { state: "done", message: "done" } as const;
const steps = { topics: done, schema: done, partitions: done, settings: done };

function statusWith(states: readonly ProcessorStatus["state"][], expired: readonly string[] = []): EngineStatus {
  const names = ["default", "fallback"];
  const processors = states.map((state, nth) => ({ name: names[nth] ?? "", state, latency: "5ms", since: at }));
  const facts = { ...steps, workers: [], workloadsApplied: true, paused: false, notImplemented: [] };
  const conditions = deriveConditions({ ...facts, processors, expired, route: "default" }, [], at);
  const rest = { workers: [], partitions: [], sources: [], notImplemented: [] };
  return { observedGeneration: 1, conditions, ...rest, processors, route: "default" };
}

const told = (before: EngineStatus, after: EngineStatus) =>
  eventsOf(before, after).map(({ note, reason, type }) => `${type} ${reason}: ${note}`);

test("a verdict that grew too old is one Event, and so is its return; the condition says the rest", () => {
  const healthy = statusWith(["Healthy", "Healthy"]);
  const expired = statusWith(["Unknown", "Healthy"], ["default"]);
  expect(told(healthy, expired)).toEqual([
    "Warning ProcessorUnknown: processor default: Healthy → Unknown; route: default",
  ]);
  expect(told(expired, expired)).toEqual([]);
  expect(told(expired, healthy)).toEqual([
    "Normal ProcessorsHealthy: default is Healthy, fallback is Healthy; route: default",
    "Normal ProcessorHealthy: processor default: Unknown → Healthy; route: default",
  ]);
});

test("a verdict that is too old beside one that is down changes nothing of the condition", () => {
  const down = statusWith(["Down", "Down"]);
  expect(told(down, statusWith(["Unknown", "Down"], ["default"]))).toEqual([
    "Warning ProcessorUnknown: processor default: Down → Unknown; route: default",
  ]);
});
