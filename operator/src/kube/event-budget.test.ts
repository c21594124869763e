import { expect, it } from "vitest";
import { makeEventBudget } from "./event-budget.ts";

it("gives each object its burst, and then one per interval, up to the burst again", () => {
  const budget = makeEventBudget({ burst: 2, refillMs: 1000, maxObjects: 10 });
  const take = (nowMs: number, object = "a"): boolean => budget.take(object, nowMs);
  expect([take(0), take(0), take(0), take(999)]).toEqual([true, true, false, false]);
  expect(take(0, "b")).toBe(true);
  expect([take(1000), take(1000)]).toEqual([true, false]);
  expect([take(100_000), take(100_000), take(100_000)]).toEqual([true, true, false]);
});

it("forgets the object that was quiet for longest", () => {
  const budget = makeEventBudget({ burst: 1, refillMs: 1e9, maxObjects: 2 });
  for (const object of ["a", "b", "a", "c"]) budget.take(object, 0);
  expect([budget.take("a", 0), budget.take("b", 0)]).toEqual([false, true]);
});
