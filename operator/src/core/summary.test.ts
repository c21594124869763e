import { expect, it } from "vitest";
import { summarize } from "./summary.ts";

const worker = (ready: number, desired: number, lag?: number) => ({
  role: "pricing-worker",
  replicas: ready,
  ready,
  desired,
  processes: [],
  ...(lag === undefined ? {} : { lag }),
});
const table = (aheadUntil: string) => ({ table: "payment.payments", aheadUntil, months: 4 });

it("adds up the roles, and counts a copy too many of one role not for another", () => {
  const workers = [worker(3, 2, 10), worker(0, 1), worker(1, 1, 5)];
  expect(summarize({ workers, partitions: [] })).toEqual({ workers: "3/4", lag: 15 });
});

it.each([
  [["2027-04-01T00:00:00.000Z", "2027-02-01T00:00:00.000Z"], "2027-01"],
  [["2027-01-01T00:00:00.000Z"], "2026-12"],
  [["2026-11-01T00:00:00Z"], "2026-10"],
])("names the last month that every table has: %j", (instants, until) => {
  expect(summarize({ workers: [], partitions: instants.map(table) }).partitionsUntil).toBe(until);
});

it("says nothing of lag where none is known", () => {
  expect(summarize({ workers: [worker(1, 1)], partitions: [] })).toEqual({ workers: "1/1" });
});
