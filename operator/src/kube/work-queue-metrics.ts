import { counter, gauge, histogram } from "@pricing-engine/chassis/metrics";

/** controller-runtime's names and labels, so that its dashboards and alerts fit. */
const labels = ["name", "controller"] as const;
const durations = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100];
const depth = gauge({ name: "workqueue_depth", help: "Items that wait for a worker.", labels });
const adds = counter({ name: "workqueue_adds_total", help: "Items that were queued.", labels });
const retries = counter({ name: "workqueue_retries_total", help: "Items that failed and come again.", labels });
const queueDuration = histogram({
  name: "workqueue_queue_duration_seconds",
  help: "From being queued to being run.",
  labels,
  buckets: durations,
});
const workDuration = histogram({
  name: "workqueue_work_duration_seconds",
  help: "A run.",
  labels,
  buckets: durations,
});
const reconciles = counter({
  name: "controller_runtime_reconcile_total",
  help: "Runs by how they ended.",
  labels: ["controller", "result"],
});
const reconcileErrors = counter({
  name: "controller_runtime_reconcile_errors_total",
  help: "Runs that failed.",
  labels: ["controller"],
});
const reconcileTime = histogram({
  name: "controller_runtime_reconcile_time_seconds",
  help: "A run.",
  labels: ["controller"],
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
});
const workers = gauge({
  name: "controller_runtime_max_concurrent_reconciles",
  help: "Workers of a controller.",
  labels: ["controller"],
});
const activeWorkers = gauge({
  name: "controller_runtime_active_workers",
  help: "Workers that run something.",
  labels: ["controller"],
});

interface LiveQueue {
  readonly name: string;
  readonly startedAt: Set<{ readonly at: number }>;
}
const live = new Set<LiveQueue>();

export interface WorkQueueMetrics {
  added(): void;
  retried(): void;
  /** Returns what is to be called when the run has ended. */
  started(queuedAt: number): (result: "success" | "error" | "requeue_after") => void;
  close(): void;
}

export function makeWorkQueueMetrics(name: string, concurrency: number, depthNow: () => number): WorkQueueMetrics {
  const both = { name, controller: name };
  const queue: LiveQueue = { name, startedAt: new Set() };
  live.add(queue);
  workers.set({ controller: name }, concurrency);
  observeUnfinished();
  const update = (): void => {
    depth.set(both, depthNow());
    activeWorkers.set({ controller: name }, queue.startedAt.size);
  };
  update();
  return {
    added() {
      adds.inc(both);
      update();
    },
    retried: () => retries.inc(both),
    started(queuedAt) {
      const run = { at: performance.now() };
      queue.startedAt.add(run);
      queueDuration.observe(both, (run.at - queuedAt) / 1000);
      update();
      return (result) => {
        queue.startedAt.delete(run);
        const seconds = (performance.now() - run.at) / 1000;
        workDuration.observe(both, seconds);
        reconcileTime.observe({ controller: name }, seconds);
        reconciles.inc({ controller: name, result });
        if (result === "error") reconcileErrors.inc({ controller: name });
        update();
      };
    },
    close() {
      live.delete(queue);
      update();
    },
  };
}

function observeUnfinished(): void {
  const ages = ({ startedAt }: LiveQueue): number[] =>
    Array.from(startedAt, ({ at }) => (performance.now() - at) / 1000);
  gauge({
    name: "workqueue_unfinished_work_seconds",
    help: "What runs now has run for, summed: a stuck run makes it grow.",
    labels,
    collect(metric) {
      metric.reset();
      for (const queue of live) {
        const sum = ages(queue).reduce((total, age) => total + age, 0);
        metric.set({ name: queue.name, controller: queue.name }, sum);
      }
    },
  });
  gauge({
    name: "workqueue_longest_running_processor_seconds",
    help: "The longest of what runs now.",
    labels,
    collect(metric) {
      metric.reset();
      for (const queue of live) {
        metric.set({ name: queue.name, controller: queue.name }, Math.max(0, ...ages(queue)));
      }
    },
  });
}
