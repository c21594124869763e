import { expect, test } from "vitest";
import type { Role, Workload } from "../../core/plan.ts";
import type { ScalePlan } from "../../core/plan-scale.ts";
import { makeReplicaCounts } from "./replica-counts.ts";

const group = { name: "g", commands: [], retries: [] };
const scale: ScalePlan = {
  min: 0,
  max: 9,
  drainTargetMs: 1,
  partitions: 9,
  group,
  besides: [],
  waitsForPayments: false,
};
const fixed = { service: "pricing", argument: "x", exposure: "none", env: {}, podHash: "1" } as const;
const worker = (replicas: number): Workload => ({ ...fixed, role: "pricing-worker", replicas, scale });
const api = (replicas: number): Workload => ({ ...fixed, role: "pricing-api", replicas });

test("one that scales begins with what the plan says and then goes by the scaler alone; others by the plan", () => {
  const counts = makeReplicaCounts();
  const numbers = () => (["pricing-worker", "pricing-api"] as Role[]).map((role) => counts.find(role));
  expect(numbers()).toEqual([undefined, undefined]);
  counts.set("pricing-worker", 5);
  expect(numbers()).toEqual([undefined, undefined]);
  counts.apply([worker(1), api(1)]);
  expect(numbers()).toEqual([1, 1]);
  counts.set("pricing-worker", 4);
  counts.set("pricing-api", 4);
  counts.apply([worker(2), api(2)]);
  expect(numbers()).toEqual([4, 2]);
  counts.set("pricing-worker", 0);
  counts.apply([worker(2), api(2)]);
  expect(numbers()).toEqual([0, 2]);
  // Gone, and there again.
  counts.apply([api(2)]);
  expect(numbers()).toEqual([undefined, 2]);
  counts.apply([worker(2), api(2)]);
  expect(numbers()).toEqual([2, 2]);
});
