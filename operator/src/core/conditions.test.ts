import { describe, expect, test } from "vitest";
import type { Condition, ProcessorStatus, WorkerStatus } from "../api/status.ts";
import { type ConditionFacts, deriveConditions, isReady } from "./conditions.ts";

const done = { state: "done", message: "done" } as const;
const worker: WorkerStatus = { role: "gateway", replicas: 2, ready: 2, desired: 2, processes: [] };
const good: ConditionFacts = {
  topics: done,
  schema: done,
  partitions: done,
  settings: done,
  workers: [worker],
  workloadsApplied: true,
  paused: false,
  notImplemented: [],
};
const at = "2026-01-01T00:00:00.000Z";
const later = "2026-01-01T00:01:00.000Z";
const find = (conditions: readonly Condition[], type: Condition["type"]) =>
  conditions.find((condition) => condition.type === type);

describe("conditions", () => {
  test("Ready when every part is", () => {
    const conditions = deriveConditions(good, [], at);
    expect(isReady(conditions)).toBe(true);
    expect(find(conditions, "Reconciling")?.status).toBe("False");
  });

  const bad: [string, Partial<ConditionFacts>, string][] = [
    ["topics wait", { topics: { state: "waiting", reason: "Pending", message: "no topics" } }, "no topics"],
    ["migrations failed", { schema: { state: "failed", message: "cannot connect" } }, "cannot connect"],
    ["partitions failed", { partitions: { state: "failed", message: "overlap" } }, "overlap"],
    ["settings failed", { settings: { state: "failed", message: "redis is away" } }, "redis is away"],
    ["the database is another's", { databaseOf: "a/b", schema: { state: "failed", message: "a/b's" } }, "a/b's"],
    ["nothing was started", { workloadsApplied: false }, "processes are not started yet"],
    [
      "a process is not ready",
      { workers: [{ ...worker, ready: 1, reason: "no Kafka" }] },
      "gateway 1 of 2 ready (no Kafka)",
    ],
  ];
  test.each(bad)("not Ready, with the reason, when %s", (_, facts, message) => {
    const conditions = deriveConditions({ ...good, ...facts }, [], at);
    expect(isReady(conditions)).toBe(false);
    expect(find(conditions, "Ready")?.message).toBe(message);
    expect(find(conditions, "Reconciling")?.status).toBe("True");
  });

  test("a crash loop stalls the engine", () => {
    const processes = [
      { name: "gateway-1", state: "waiting", restarts: 3, reason: "crash loop, 3 times in a row: exited with code 1" },
    ] as const;
    const conditions = deriveConditions({ ...good, workers: [{ ...worker, ready: 1, processes }] }, [], at);
    expect(find(conditions, "Stalled")).toMatchObject({ status: "True", reason: "CrashLoop" });
  });

  test("a refused resource leaves the engine Ready and says why", () => {
    const conditions = deriveConditions({ ...good, refusal: "line 3: wrong" }, [], at);
    expect(isReady(conditions)).toBe(true);
    expect(find(conditions, "ResourceValid")).toMatchObject({ status: "False", reason: "Refused" });
  });

  test("the transition time moves only with the status", () => {
    const first = deriveConditions(good, [], at);
    const second = deriveConditions({ ...good, topics: { state: "failed", message: "away" } }, first, later);
    expect(find(second, "TopicsReady")?.lastTransitionTime).toBe(later);
    expect(find(second, "SchemaReady")?.lastTransitionTime).toBe(at);
  });

  test("workers that were just added are no reason not to be Ready, those that are due are", () => {
    const scaling = { ...good, workers: [{ ...worker, role: "pricing-worker", ready: 2, desired: 5 }] };
    const judge = (due: number) =>
      isReady(deriveConditions({ ...scaling, due: new Map([["pricing-worker", due]]) }, [], at));
    expect([judge(2), judge(3), judge(5)]).toEqual([true, false, false]);
    expect(isReady(deriveConditions(scaling, [], at))).toBe(false);
  });

  test.each([
    [undefined, undefined],
    [
      { isPaused: false, refusals: [] },
      { status: "True", reason: "Following" },
    ],
    [
      { isPaused: true, refusals: [] },
      { status: "False", reason: "Paused" },
    ],
    [
      { isPaused: false, refusals: ["payment-worker: an HPA scales it"] },
      { status: "False", reason: "Refused", message: "payment-worker: an HPA scales it" },
    ],
  ])("scaling %o is said, and is no part of Ready", (scaling, expected) => {
    const conditions = deriveConditions({ ...good, scaling }, [], at);
    expect(isReady(conditions)).toBe(true);
    if (expected === undefined) expect(find(conditions, "ScalingActive")).toBeUndefined();
    else expect(find(conditions, "ScalingActive")).toMatchObject(expected);
  });

  const is = (name: string, state: ProcessorStatus["state"]): ProcessorStatus => ({
    name,
    state,
    latency: "5ms",
    since: at,
  });
  test.each([
    [["Healthy", "Healthy"], [], "True", "AllHealthy", "default is Healthy, fallback is Healthy; route: default"],
    [["Unknown", "Healthy"], [], "Unknown", "NotProbed", "default is Unknown, fallback is Healthy; route: default"],
    [
      ["Unknown", "Healthy"],
      ["default"],
      "Unknown",
      "VerdictExpired",
      "default is Unknown (nothing was heard for maxVerdictAge), fallback is Healthy; route: default",
    ],
    // What is known to be down is said first.
    [
      ["Unknown", "Down"],
      ["default"],
      "False",
      "ProcessorDown",
      "default is Unknown (nothing was heard for maxVerdictAge), fallback is Down; route: default",
    ],
  ] as const)("processors that are %j, of which %j grew too old, are no part of Ready", (states, expired, ...said) => {
    const [status, reason, message] = said;
    const processors = [is("default", states[0]), is("fallback", states[1])];
    const conditions = deriveConditions({ ...good, processors, expired, route: "default" }, [], at);
    expect(isReady(conditions)).toBe(true);
    expect(find(conditions, "ProcessorsHealthy")).toMatchObject({ status, reason, message });
  });
});
