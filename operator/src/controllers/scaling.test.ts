import { engineSettingsSchema } from "@pricing-engine/contracts";
import { eventually } from "@pricing-engine/testkit";
import { afterEach, expect, test } from "vitest";
import type { Route } from "../api/status.ts";
import type { Role, Workload } from "../core/plan.ts";
import type { GroupLook, ScaleDecision } from "../core/scale.ts";
import type { ReplicaOfRole, ScaleOutcome } from "../runtime/runtime.ts";
import { makeScaling, type Scaling, type ScalingPlan } from "./scaling.ts";

const settings = engineSettingsSchema.parse({});

function workload(role: Role, more: Partial<Workload["scale"]> = {}): Workload {
  const group = { name: role, commands: ["t"], retries: [] };
  const scale = { min: 1, max: 8, drainTargetMs: 10_000, partitions: 8, group, besides: [], waitsForPayments: false };
  const fixed = { service: "pricing", argument: "worker", exposure: "none", env: {}, podHash: "1" } as const;
  return { ...fixed, role, replicas: 1, scale: { ...scale, ...more } };
}

const planned = (workloads: readonly Workload[], scalingPaused = false): ScalingPlan => ({
  workloads,
  settings,
  scalingPaused,
});

/** Roles whose workers get through ten messages a second each; a turn is taken when the test says so, two seconds later. */
function makeWorld(numbers: Partial<Record<Role, number>>) {
  const roles = new Map(
    Object.entries(numbers).map(([role, count]) => [role, { count, end: 0, committed: 0, waiting: 0, ready: count }]),
  );
  const of = (role: string) => {
    const found = roles.get(role);
    if (found === undefined) throw new Error(`there is no ${role}`);
    return found;
  };
  let nowMs = 0;
  let turns = new Map<number, () => void>();
  let nth = 0;
  const world = {
    failing: new Set<string>(),
    looks: [] as string[],
    writes: [] as string[],
    decisions: [] as [Role, ScaleDecision][],
    outcome: { kind: "scaled" } as ScaleOutcome,
    route: "default" as Route,
    logged: [] as string[],
    of,
    start(plan: ScalingPlan): Scaling {
      scaling = makeScaling({
        runtime: {
          async lookAtGroup({ name }): Promise<GroupLook> {
            world.looks.push(name);
            if (world.failing.has(name)) throw new Error("Kafka is away");
            const { committed, count, end } = of(name);
            return {
              group: count === 0 ? "empty" : "stable",
              partitions: Array.from({ length: 8 }, (_, nth) => ({
                key: `t/${nth}`,
                end: end / 8,
                committed: committed / 8,
                member: count === 0 ? undefined : `m${nth % count}`,
              })),
            };
          },
          countWaiting: async (role) => of(role).waiting,
          currentReplicas: async (role) => roles.get(role)?.count,
          async scale(role, replicas) {
            world.writes.push(`${role} ${replicas}`);
            if (world.outcome.kind === "scaled") Object.assign(of(role), { count: replicas, ready: replicas });
            return world.outcome;
          },
          replicas: () =>
            [...roles].flatMap(([role, { ready }]) =>
              Array.from({ length: ready }, (_, index): ReplicaOfRole => {
                return { role, name: `${role}-${index}`, state: "ready", restarts: 0 };
              }),
            ),
        },
        logger: {
          info: (_: unknown, text?: string) => void world.logged.push(text ?? ""),
          warn: (_: unknown, text?: string) => void world.logged.push(text ?? ""),
        },
        monotonicMs: () => nowMs,
        route: () => world.route,
        onDecision: (role, decision) => void world.decisions.push([role, decision]),
        wait(_ms, signal) {
          const { promise, resolve } = Promise.withResolvers<void>();
          const id = nth++;
          turns.set(id, resolve);
          if (signal.aborted) resolve();
          signal.addEventListener("abort", () => resolve());
          return promise;
        },
      });
      scaling.apply(plan);
      return scaling;
    },
    /** Once every loop waits: two seconds pass, in which each role's workers work, and each loop takes its turn. */
    async turn(loops = 1): Promise<void> {
      await eventually(() => turns.size >= loops);
      nowMs += 2_000;
      for (const role of roles.values()) {
        role.committed = Math.min(role.end, role.committed + 20 * role.count);
      }
      const due = turns;
      turns = new Map();
      for (const begin of due.values()) begin();
      await eventually(() => turns.size >= loops);
    },
    reasons: (role: Role) => world.decisions.filter(([of]) => of === role).map(([, { reason }]) => reason),
  };
  return world;
}

let scaling: Scaling | undefined;
afterEach(() => scaling?.close());

test("begins with the number that runs, not with min", async () => {
  const world = makeWorld({ "pricing-worker": 4 });
  const loop = world.start(planned([workload("pricing-worker")]));
  await world.turn();
  expect(loop.find("pricing-worker")?.decision).toMatchObject({ desired: 4, before: 4 });
  expect(world.writes).toEqual([]);
});

test("a role that is not there yet is left alone, and looked at later", async () => {
  const world = makeWorld({ "pricing-worker": 1 });
  const loop = world.start(planned([workload("ingest-worker"), workload("pricing-worker")]));
  await world.turn(2);
  expect(loop.find("ingest-worker")).toBeUndefined();
  expect(loop.find("pricing-worker")?.decision.desired).toBe(1);
});

test("a burst takes a role up, with the figures; and what failed for one role kept nothing from the other", async () => {
  const world = makeWorld({ "pricing-worker": 1, "ingest-worker": 1 });
  world.failing.add("ingest-worker");
  const loop = world.start(planned([workload("ingest-worker"), workload("pricing-worker")]));
  await world.turn(2);
  world.of("pricing-worker").end = 1_000;
  for (let turn = 0; turn < 3; turn++) await world.turn(2);
  expect(world.writes).toEqual(["pricing-worker 8"]);
  expect(world.reasons("pricing-worker")).toContain("ScaledUp");
  expect(loop.find("pricing-worker")?.explained).toMatch(/waiting, .*\/s arrive, 10\.0\/s per worker/);
  expect(new Set(world.reasons("ingest-worker"))).toEqual(new Set(["MissingData"]));
  world.failing.clear();
  await world.turn(2);
  expect(world.reasons("ingest-worker").at(-1)).not.toBe("MissingData");
});

test("those that were just added are not due yet", async () => {
  const world = makeWorld({ "pricing-worker": 1 });
  const loop = world.start(planned([workload("pricing-worker")]));
  await world.turn();
  world.of("pricing-worker").end = 1_000;
  for (let turn = 0; turn < 3; turn++) await world.turn();
  expect(world.writes).toHaveLength(1);
  expect(loop.find("pricing-worker")).toMatchObject({ due: 1 });
  for (let turn = 0; turn < 31; turn++) await world.turn();
  expect(loop.find("pricing-worker")?.due).toBe(loop.find("pricing-worker")?.decision.desired);
});

test("what somebody else sets is set back, and said", async () => {
  const world = makeWorld({ "pricing-worker": 2 });
  world.start(planned([workload("pricing-worker")]));
  await world.turn();
  world.of("pricing-worker").count = 7;
  await world.turn();
  expect(world.writes).toEqual(["pricing-worker 2"]);
  expect(world.logged).toEqual(["pricing-worker is set back to 2"]);
});

test("paused: nothing is written whatever waits, a number set by hand stays, and is where it goes on from", async () => {
  const world = makeWorld({ "pricing-worker": 1 });
  const loop = world.start(planned([workload("pricing-worker")], true));
  world.of("pricing-worker").end = 5_000;
  await world.turn();
  // Outside of the limits.
  world.of("pricing-worker").count = 20;
  for (let turn = 0; turn < 5; turn++) await world.turn();
  expect(world.writes).toEqual([]);
  expect(loop.find("pricing-worker")).toMatchObject({ decision: { desired: 20, reason: "Paused" } });
  expect(loop.find("pricing-worker")?.decision.lag).toBeGreaterThan(0);
  world.of("pricing-worker").count = 3;
  world.of("pricing-worker").end = world.of("pricing-worker").committed;
  await world.turn();
  loop.apply(planned([workload("pricing-worker")]));
  await world.turn();
  expect(loop.find("pricing-worker")?.decision.before).toBe(3);
  expect(world.writes).toEqual([]);
});

test("a refusal is the reason, is tried again, and ends with its cause", async () => {
  const world = makeWorld({ "pricing-worker": 1 });
  world.outcome = { kind: "refused", reason: "an HPA scales it" };
  const loop = world.start(planned([workload("pricing-worker", { min: 3 })]));
  await world.turn();
  await world.turn();
  expect(loop.find("pricing-worker")).toMatchObject({
    refusal: "an HPA scales it",
    decision: { desired: 1, reason: "Refused", message: "an HPA scales it" },
  });
  world.outcome = { kind: "scaled" };
  await world.turn();
  expect(loop.find("pricing-worker")).toMatchObject({ refusal: undefined, decision: { desired: 3 } });
});

test("while payments are held only those who wait for payments are frozen", async () => {
  const world = makeWorld({ "payment-worker": 1, "orders-payment": 1 });
  world.route = "hold";
  world.start(planned([workload("payment-worker", { waitsForPayments: true }), workload("orders-payment")]));
  world.of("payment-worker").end = world.of("orders-payment").end = 5_000;
  for (let turn = 0; turn < 4; turn++) await world.turn(2);
  expect(new Set(world.reasons("payment-worker"))).toEqual(new Set(["PaymentsHeld"]));
  expect(world.reasons("orders-payment")).toContain("ScaledUp");
  world.route = "fallback";
  for (let turn = 0; turn < 3; turn++) await world.turn(2);
  expect(world.reasons("payment-worker")).toContain("ScaledUp");
});

test("min: 0 counts what only the role's own processes do; others are not asked", async () => {
  const world = makeWorld({ "pricing-worker": 0, "ingest-worker": 1 });
  const besides = [{ name: "ingest-worker", commands: ["t"], retries: [] }];
  const loop = world.start(planned([workload("pricing-worker", { min: 0, besides })]));
  await world.turn();
  expect(loop.find("pricing-worker")?.decision).toMatchObject({ desired: 0, reason: "Steady" });
  world.of("ingest-worker").end = 1_000;
  await world.turn();
  expect(loop.find("pricing-worker")?.decision).toMatchObject({ desired: 1, reason: "WokenUp" });
  const second = makeWorld({ "pricing-worker": 0 });
  const other = second.start(planned([workload("pricing-worker", { min: 0 })]));
  second.of("pricing-worker").waiting = 1;
  await second.turn();
  expect(other.find("pricing-worker")?.decision).toMatchObject({ desired: 1, reason: "WokenUp" });
});

test("a role whose workload is gone is looked at no more", async () => {
  const world = makeWorld({ "pricing-worker": 1, "ingest-worker": 1 });
  const loop = world.start(planned([workload("pricing-worker"), workload("ingest-worker")]));
  await world.turn(2);
  loop.apply(planned([workload("ingest-worker")]));
  expect(loop.find("pricing-worker")).toBeUndefined();
  const before = world.looks.filter((name) => name === "pricing-worker").length;
  await world.turn();
  await world.turn();
  expect(world.looks.filter((name) => name === "pricing-worker")).toHaveLength(before);
});

test("closing in the middle of a look writes nothing afterwards", async () => {
  // The first look would take it up to min.
  const world = makeWorld({ "pricing-worker": 0 });
  const loop = world.start(planned([workload("pricing-worker")]));
  expect(world.looks).toHaveLength(1);
  await loop.close();
  expect(world.writes).toEqual([]);
});
