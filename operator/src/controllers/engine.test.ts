import { readFileSync } from "node:fs";
import type { EngineSettings } from "@pricing-engine/contracts";
import { eventually } from "@pricing-engine/testkit";
import { afterEach, expect, test, vi } from "vitest";
import { parseResource } from "../api/parse.ts";
import type { EngineStatus } from "../api/status.ts";
import type { ProbeResult } from "../core/failover.ts";
import { KubeError } from "../kube/kube-error.ts";
import type { ReplicaOfRole, Runtime } from "../runtime/runtime.ts";
import { type Engine, type EngineDeps, makeEngine } from "./engine.ts";

const example = readFileSync(new URL("../../../examples/shop.yaml", import.meta.url), "utf8");

/** The example with pricing alone. */
const shop = example.replace(/\n {2}(?:payment|orders):\n(?: {4}.*\n)+/g, "\n").replace("  ingest: {}\n", "");

function parse(text: string) {
  const parsed = parseResource(text);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.resource;
}

/** A runtime in memory: what was asked of it, in order, and what is to fail. */
function makeMemoryRuntime() {
  const calls: string[] = [];
  const failing = new Set<string>();
  const probes: ProbeResult[] = [];
  const written: EngineSettings[] = [];
  let replicas: ReplicaOfRole[] = [];
  const call = async (name: string) => {
    calls.push(name);
    if (failing.has(name)) throw new Error(`${name} is away`);
  };
  const runtime: Runtime = {
    ensureTopics: () => call("topics"),
    pruneTopics: () => call("prune"),
    claimDatabase: async () => (failing.has("claim") ? "other/shop" : undefined),
    migrate: (service) => call(`migrate ${service}`),
    readSources: async () => [],
    async ensurePartitions() {
      await call("partitions");
      return [{ table: "pricing.price_history", aheadUntil: "2027-01-01T00:00:00.000Z", months: 4 }];
    },
    async applySettings(settings) {
      await call("settings");
      written.push(settings);
    },
    async applyWorkloads(workloads) {
      await call("workloads");
      replicas = workloads.flatMap(({ role, replicas: count }) =>
        Array.from({ length: count }, (_, index) => ({
          name: `${role}-${index + 1}`,
          role,
          state: "ready" as const,
          restarts: 0,
        })),
      );
    },
    replicas: () => replicas,
    lookAtGroup: async () => ({ group: "stable", partitions: [{ key: "t/0", end: 9, committed: 2 }] }),
    countWaiting: async () => 0,
    countForReview: async () => 3,
    currentReplicas: async (role) => replicas.filter((replica) => replica.role === role).length,
    scale: async () => ({ kind: "scaled" }),
    probeProcessor: async () => probes.shift() ?? { kind: "too_soon" },
    async changed(signal) {
      const { promise, resolve } = Promise.withResolvers<void>();
      signal.addEventListener("abort", () => resolve(), { once: true });
      await promise;
    },
  };
  return { runtime, calls, failing, probes, written };
}

let engine: Engine | undefined;
afterEach(async () => {
  await engine?.close();
  vi.useRealTimers();
});

function start(
  memory: ReturnType<typeof makeMemoryRuntime>,
  now = () => new Date(),
  text = shop,
  more: Pick<EngineDeps, "passEveryMs" | "previous"> = {},
) {
  const statuses: EngineStatus[] = [];
  engine = makeEngine(parse(text), {
    runtime: memory.runtime,
    context: { hash: (text) => text, canSharePort: true },
    logger: { info: () => undefined, warn: () => undefined },
    now,
    passEveryMs: 20,
    onStatus: (status) => statuses.push(status),
    ...more,
  });
  return { engine, statuses };
}

const isTrue = (status: EngineStatus, type: string) =>
  status.conditions.some((condition) => condition.type === type && condition.status === "True");

test("a pass makes topics, tables and partitions before any workload, and then is Ready", async () => {
  const memory = makeMemoryRuntime();
  const { engine } = start(memory);
  await eventually(() => isTrue(engine.status(), "Ready"));
  const before = memory.calls.slice(0, memory.calls.indexOf("workloads"));
  expect(before.toSorted()).toEqual(["migrate gateway", "migrate pricing", "partitions", "settings", "topics"]);
  expect(before.indexOf("migrate pricing")).toBeLessThan(before.indexOf("partitions"));
  expect(engine.status().workers.map(({ role, ready, lag }) => [role, ready, lag])).toEqual([
    ["pricing-api", 1, undefined],
    ["pricing-worker", 1, 7],
    ["gateway", 2, undefined],
  ]);
});

test.each(["topics", "migrate pricing", "migrate gateway", "partitions", "settings"])(
  "no workload starts while %s fails, and all of it once that is mended",
  async (step) => {
    const memory = makeMemoryRuntime();
    memory.failing.add(step);
    const { engine } = start(memory);
    await eventually(() => memory.calls.filter((name) => name === step).length >= 3);
    expect(memory.calls).not.toContain("workloads");
    expect(engine.status().conditions.find(({ type }) => type === "Ready")?.message).toContain(`${step} is away`);
    memory.failing.clear();
    await eventually(() => isTrue(engine.status(), "Ready"));
  },
);

test("nothing is made in another engine's database, and the engine is Stalled", async () => {
  const memory = makeMemoryRuntime();
  memory.failing.add("claim");
  const { engine } = start(memory);
  await eventually(() => isTrue(engine.status(), "Stalled"));
  expect(memory.calls.filter((name) => /migrate|partitions|workloads/.test(name))).toEqual([]);
  expect(engine.status().conditions.find(({ type }) => type === "Ready")?.message).toContain("other/shop's");
  memory.failing.clear();
  await eventually(() => isTrue(engine.status(), "Ready"));
  expect(isTrue(engine.status(), "Stalled")).toBe(false);
});

test("Redis going away later is said, and leaves what runs alone", async () => {
  const memory = makeMemoryRuntime();
  const { engine } = start(memory);
  await eventually(() => isTrue(engine.status(), "Ready"));
  memory.failing.add("settings");
  await eventually(() => !isTrue(engine.status(), "SettingsApplied"));
  expect(isTrue(engine.status(), "WorkloadsAvailable")).toBe(true);
  memory.failing.clear();
  await eventually(() => isTrue(engine.status(), "Ready"));
});

test("settings are written on every pass, topics and migrations only once", async () => {
  const memory = makeMemoryRuntime();
  start(memory);
  await eventually(() => memory.calls.filter((name) => name === "settings").length >= 5);
  expect(memory.calls.filter((name) => name === "topics")).toHaveLength(1);
  expect(memory.calls.filter((name) => name === "migrate pricing")).toHaveLength(1);
});

test("partitions are looked after hourly, and at once when the spec changes", async () => {
  const memory = makeMemoryRuntime();
  let nowMs = Date.now();
  const { engine } = start(memory, () => new Date(nowMs));
  const looks = () => memory.calls.filter((name) => name === "partitions").length;
  await eventually(() => isTrue(engine.status(), "Ready"));
  expect(looks()).toBe(1);
  nowMs += 3_600_000;
  await eventually(() => looks() === 2);
  engine.apply(parse(shop.replace("premakeMonths: 3", "premakeMonths: 4")));
  await eventually(() => looks() === 3);
});

test("a role that scales says why it is as many, with what waits, and the condition says that it does", async () => {
  const memory = makeMemoryRuntime();
  const { engine } = start(memory);
  await eventually(() => isTrue(engine.status(), "ScalingActive"));
  await eventually(() => {
    const worker = engine.status().workers.find(({ role }) => role === "pricing-worker");
    expect(worker).toMatchObject({
      desired: 1,
      ready: 1,
      lag: 7,
      reason: expect.stringMatching(/^Measuring: 7 waiting/),
    });
  });
  expect(engine.status().workers.find(({ role }) => role === "gateway")).not.toHaveProperty("reason");
});

test("another image migrates again", async () => {
  const memory = makeMemoryRuntime();
  const { engine } = start(memory);
  await eventually(() => isTrue(engine.status(), "Ready"));
  const migrations = () => memory.calls.filter((name) => name.startsWith("migrate"));
  const before = migrations().length;
  engine.apply(parse(shop.replace("\nspec:\n", "\nspec:\n  image: { tag: 1.2.3 }\n")));
  await eventually(() => expect(migrations()).toHaveLength(before * 2));
});

test.each([
  ["another image", "migrate pricing", shop.replace("\nspec:\n", "\nspec:\n  image: { tag: 1.2.3 }\n")],
  ["a section more", "topics", example.replace(/\n {2}orders:\n(?: {4}.*\n)+/, "\n")],
])("%s is not rolled out before %s is done for it", async (_, step, text) => {
  const memory = makeMemoryRuntime();
  const { engine } = start(memory);
  await eventually(() => isTrue(engine.status(), "Ready"));
  memory.failing.add(step);
  engine.apply(parse(text));
  await eventually(() => !isTrue(engine.status(), "Ready"));
  memory.calls.length = 0;
  await eventually(() => memory.calls.filter((name) => name === step).length >= 3);
  expect(memory.calls).not.toContain("workloads");
  memory.failing.clear();
  await eventually(() => expect(memory.calls).toContain("workloads"));
  await eventually(() => isTrue(engine.status(), "Ready"));
});

test("what was refused and has come right is in force again", async () => {
  const { engine } = start(makeMemoryRuntime());
  await eventually(() => isTrue(engine.status(), "Ready"));
  engine.refuse({ reason: "SecretsMissing", message: "Secret shop-redis is missing" });
  const find = (type: string) => engine.status().conditions.find((condition) => condition.type === type);
  expect(find("Stalled")).toMatchObject({ status: "True", reason: "SecretsMissing" });
  expect(find("ResourceValid")).toMatchObject({ status: "False", reason: "SecretsMissing" });
  engine.refuse(undefined);
  expect(find("Stalled")).toMatchObject({ status: "False" });
  expect(find("ResourceValid")).toMatchObject({ status: "True" });
});

test("the successor of a leader says nothing of a ready engine before it has looked at everything", async () => {
  const { engine: first } = start(makeMemoryRuntime());
  await eventually(() => isTrue(first.status(), "Ready"));
  const previous = first.status().conditions.map((condition) => ({
    ...condition,
    lastTransitionTime: "2026-01-01T00:00:00.000Z",
  }));
  await first.close();
  const { engine, statuses } = start(makeMemoryRuntime(), undefined, shop, { previous });
  await eventually(() => statuses.length > 0);
  expect(statuses.filter((status) => !isTrue(status, "Ready"))).toEqual([]);
  expect(engine.status().conditions.map((one) => one.lastTransitionTime)).toEqual(
    previous.map((one) => one.lastTransitionTime),
  );
});

test("a forbidden call is named in its condition, and tried ever more seldom", async () => {
  const memory = makeMemoryRuntime();
  const atMs: number[] = [];
  memory.runtime.applyWorkloads = async () => {
    atMs.push(performance.now());
    throw new KubeError("deployments.apps is forbidden", { status: 403, reason: "Forbidden" });
  };
  const { engine } = start(memory);
  await eventually(() => atMs.length >= 4);
  expect(engine.status().conditions.find(({ type }) => type === "WorkloadsAvailable")).toMatchObject({
    status: "False",
    reason: "Forbidden",
    message: "deployments.apps is forbidden",
  });
  expect((atMs[3] ?? 0) - (atMs[2] ?? 0)).toBeGreaterThan(300);
});

test("a paused engine changes nothing", async () => {
  const memory = makeMemoryRuntime();
  const { engine } = start(memory);
  await eventually(() => isTrue(engine.status(), "Ready"));
  engine.apply(parse(shop.replace("name: shop", 'name: shop\n  annotations: { pricing-engine.dev/paused: "true" }')));
  await eventually(() => isTrue(engine.status(), "Paused"));
  const before = memory.calls.length;
  await eventually(() => engine?.status().observedGeneration === 2);
  expect(memory.calls.length).toBeLessThanOrEqual(before + 1);
});

test("verdicts on processors are live settings, status and a condition as soon as they are known", async () => {
  const memory = makeMemoryRuntime();
  memory.probes.push({ kind: "answer", failing: true, minResponseTimeMs: 5 });
  memory.probes.push({ kind: "answer", failing: false, minResponseTimeMs: 7 });
  const { engine, statuses } = start(memory, undefined, example);
  await eventually(() => memory.written.at(-1)?.payment.verdicts.fallback.state === "Healthy");
  expect(memory.written.at(-1)?.payment.verdicts).toMatchObject({
    default: { state: "Down", minResponseTimeMs: 5 },
    fallback: { state: "Healthy", minResponseTimeMs: 7 },
  });
  const { processors, route, conditions, manualReview } = engine.status();
  expect(manualReview).toBe(3);
  expect([route, processors?.map(({ name, state, latency }) => [name, state, latency])]).toEqual([
    "fallback",
    [
      ["default", "Down", "5ms"],
      ["fallback", "Healthy", "7ms"],
    ],
  ]);
  expect(conditions.find(({ type }) => type === "ProcessorsHealthy")).toMatchObject({ status: "False" });
  expect(isTrue(engine.status(), "Ready")).toBe(true);
  expect(statuses.some((status) => status.route === "fallback")).toBe(true);
});

test("a verdict that nobody renews ends in the status by itself, with the route that workers then take, and is not told to them", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  const memory = makeMemoryRuntime();
  let nextProbe: ProbeResult = { kind: "answer", failing: true, minResponseTimeMs: 5 };
  memory.runtime.probeProcessor = async () => nextProbe;
  // No pass comes to its help.
  const { statuses } = start(memory, undefined, example, { passEveryMs: 3_600_000 });
  const last = () => {
    const { conditions, processors, route } = statuses.at(-1) ?? {};
    const { reason, status } = conditions?.find(({ type }) => type === "ProcessorsHealthy") ?? {};
    return [route, processors?.map(({ latency, state }) => `${state} ${latency}`), `${status} ${reason}`];
  };
  await vi.advanceTimersByTimeAsync(1_000);
  expect(last()).toEqual(["hold", ["Down 5ms", "Down 5ms"], "False ProcessorDown"]);
  nextProbe = { kind: "too_soon" };
  const written = memory.written.length;
  await vi.advanceTimersByTimeAsync(29_000);
  expect(last()).toEqual(["hold", ["Down 5ms", "Down 5ms"], "False ProcessorDown"]);
  await vi.advanceTimersByTimeAsync(1);
  expect(last()).toEqual(["default", ["Unknown 0ms", "Unknown 0ms"], "Unknown VerdictExpired"]);
  expect(memory.written).toHaveLength(written);
  nextProbe = { kind: "answer", failing: false, minResponseTimeMs: 7 };
  await vi.advanceTimersByTimeAsync(5_000);
  expect(last()).toEqual(["default", ["Healthy 7ms", "Healthy 7ms"], "True AllHealthy"]);
  expect(memory.written.at(-1)?.payment.verdicts.default).toMatchObject({ state: "Healthy" });
});

test("an engine that is closed in its first pass starts neither prober nor scaling", async () => {
  const memory = makeMemoryRuntime();
  const [reached, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const { applyWorkloads, currentReplicas } = memory.runtime;
  memory.runtime.applyWorkloads = async (workloads) => {
    reached.resolve();
    await held.promise;
    await applyWorkloads(workloads);
  };
  const asked: string[] = [];
  memory.runtime.probeProcessor = async ({ name }) => {
    asked.push(name);
    return { kind: "too_soon" };
  };
  memory.runtime.currentReplicas = (role) => {
    asked.push(role);
    return currentReplicas(role);
  };
  const { engine } = start(memory, undefined, example);
  await reached.promise;
  const closed = engine.close();
  held.resolve();
  await closed;
  expect(asked).toEqual([]);
});

test("processors are not probed without the payment section, nor while the loop is paused", async () => {
  const paused = example.replace(
    "name: shop",
    'name: shop\n  annotations: { pricing-engine.dev/paused-failover: "true" }',
  );
  for (const text of [shop, paused]) {
    const memory = makeMemoryRuntime();
    memory.probes.push({ kind: "answer", failing: true, minResponseTimeMs: 5 });
    const { engine: started } = start(memory, undefined, text);
    await eventually(() => isTrue(started.status(), "Ready"));
    await eventually(() => memory.calls.filter((name) => name === "settings").length >= 5);
    expect(memory.probes).toHaveLength(1);
    expect(started.status().route).toBe(text === shop ? undefined : "default");
    await started.close();
  }
});
