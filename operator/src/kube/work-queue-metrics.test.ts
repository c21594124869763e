import { registry } from "@pricing-engine/chassis/metrics";
import { expect, it } from "vitest";
import { makeWorkQueue } from "./work-queue.ts";

async function values(...names: string[]): Promise<Record<string, number>> {
  const lines = (await registry.metrics()).split("\n").filter((line) => line.includes('"measured"'));
  const found = names.map((name): [string, number] => {
    const line = lines.find((each) => each.startsWith(`${name}{`));
    return [name, Number(line?.split(" ").at(-1))];
  });
  return Object.fromEntries(found);
}

it("shows what controller-runtime would", async () => {
  const running = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  let runs = 0;
  const queue = makeWorkQueue<string>({
    name: "measured",
    concurrency: 1,
    backoff: { initialMs: 1, maxMs: 1 },
    logger: { warn: () => undefined },
    async run() {
      runs++;
      if (runs === 1) throw new Error("no");
      running.resolve();
      await end.promise;
    },
  });
  queue.add("a");
  await running.promise;
  queue.add("b");
  expect(
    await values(
      "workqueue_depth",
      "workqueue_adds_total",
      "workqueue_retries_total",
      "controller_runtime_active_workers",
    ),
  ).toEqual({
    workqueue_depth: 1,
    workqueue_adds_total: 3,
    workqueue_retries_total: 1,
    controller_runtime_active_workers: 1,
  });
  const { workqueue_longest_running_processor_seconds: longest } = await values(
    "workqueue_longest_running_processor_seconds",
  );
  expect(longest).toBeGreaterThan(0);
  end.resolve();
  await queue.close();
  expect(await values("controller_runtime_reconcile_errors_total", "workqueue_work_duration_seconds_count")).toEqual({
    controller_runtime_reconcile_errors_total: 1,
    workqueue_work_duration_seconds_count: 2,
  });
  expect(await registry.metrics()).toContain(
    'controller_runtime_reconcile_total{controller="measured",result="error"} 1',
  );
});
