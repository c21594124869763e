import { expect, it } from "vitest";
import { gauge, registry, shareReading } from "./registry.ts";

const valuesOf = async (...names: string[]): Promise<number[]> => {
  const text = await registry.metrics();
  return names.map((name) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]));
};

it("gauges of one reading show the same moment, that of the scrape", async () => {
  let readings = 0;
  const read = shareReading(async () => {
    readings += 1;
    await new Promise(setImmediate);
    return readings;
  });
  for (const name of ["test_first", "test_second"]) {
    gauge({ name, help: "Readings.", collect: async (metric) => metric.set(await read()) });
  }
  expect(await valuesOf("test_first", "test_second")).toEqual([1, 1]);
  expect(await valuesOf("test_first", "test_second")).toEqual([2, 2]);
});

it("a reading that fails leaves its gauges as they were, and the others are told", async () => {
  const state = { isAway: false, value: 1 };
  const read = shareReading(() => {
    if (state.isAway) throw new Error("away");
    return state.value;
  });
  gauge({ name: "test_read", help: "What is read.", collect: async (metric) => metric.set(await read()) });
  gauge({ name: "test_known", help: "What is known.", collect: (metric) => metric.set(state.value) });
  expect(await valuesOf("test_read", "test_known")).toEqual([1, 1]);
  Object.assign(state, { isAway: true, value: 2 });
  expect(await valuesOf("test_read", "test_known")).toEqual([1, 2]);
  state.isAway = false;
  expect(await valuesOf("test_read", "test_known")).toEqual([2, 2]);
});
