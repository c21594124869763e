import { registry } from "@pricing-engine/chassis/metrics";
import { expect, it } from "vitest";
import { exposeTasks } from "./metrics.ts";

it("a scrape shows the tasks of its moment, all from one reading", async () => {
  const seen = [
    { queued: 1, running: 2, oldestAgeMs: 3_000 },
    { queued: 0, running: 1, oldestAgeMs: 5_500 },
  ];
  let readings = 0;
  exposeTasks(async () => {
    readings += 1;
    return seen[readings - 1] ?? { queued: -1, running: -1, oldestAgeMs: -1 };
  });
  const scrape = async () =>
    (await registry.metrics()).split("\n").filter((line) => line.startsWith("pricing_engine_task"));
  expect(await scrape()).toEqual(
    expect.arrayContaining([
      'pricing_engine_tasks_open{status="queued"} 1',
      'pricing_engine_tasks_open{status="running"} 2',
      "pricing_engine_task_age_seconds 3",
    ]),
  );
  expect(await scrape()).toEqual(
    expect.arrayContaining([
      'pricing_engine_tasks_open{status="queued"} 0',
      'pricing_engine_tasks_open{status="running"} 1',
      "pricing_engine_task_age_seconds 5.5",
    ]),
  );
  expect(readings).toBe(2);
});
