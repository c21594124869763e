import { eventually } from "@pricing-engine/testkit";
import { expect, test } from "vitest";
import { makeBounded } from "./bounded.ts";

test("an answer or a failure in time is passed on", async () => {
  const bounded = makeBounded(10_000);
  expect(await bounded(async () => 1)).toBe(1);
  await expect(bounded(() => Promise.reject(new Error("away")))).rejects.toThrow("away");
  expect(await bounded(async () => 2)).toBe(2);
});

test("one that hangs is given up on, and no second one is begun before it has ended", async () => {
  const bounded = makeBounded(10);
  const { promise, resolve } = Promise.withResolvers<number>();
  let begun = 0;
  const hang = () => {
    begun++;
    return promise;
  };
  await expect(bounded(hang)).rejects.toThrow("no answer in 0.01 s");
  await expect(bounded(hang)).rejects.toThrow("goes on");
  expect(begun).toBe(1);
  resolve(1);
  await eventually(async () => expect(await bounded(hang)).toBe(1));
});
