import { counter, gauge, shareReading } from "@pricing-engine/chassis/metrics";
import type { OpenTasks } from "./task-store.ts";

export const decisionMetrics = {
  decided: counter({ name: "pricing_engine_decisions_total", help: "Market prices decided and published." }),
  changed: counter({ name: "pricing_engine_price_changes_total", help: "Decisions that changed the price." }),
  lost: counter({
    name: "pricing_engine_decisions_lost_total",
    help: "Decisions that lost to another one and were made again.",
  }),
  alerts: counter({
    name: "pricing_engine_price_alerts_total",
    help: "Decisions that need a person's attention, by what is wrong.",
    labels: ["code"],
  }),
};

export const quoteMetrics = {
  computed: counter({
    name: "pricing_engine_quotes_total",
    help: "Answers to single price requests that were computed from Postgres: misses, each counted once however many shared it.",
  }),
};

export const policyMetrics = {
  refused: counter({ name: "pricing_engine_policies_refused_total", help: "Policies that did not compile." }),
};

export const taskMetrics = {
  nudged: counter({ name: "pricing_engine_tasks_nudged_total", help: "Overdue tasks and chunks sent again." }),
};

export function exposeTasks(readOpen: () => Promise<OpenTasks>): void {
  const read = shareReading(readOpen);
  gauge({
    name: "pricing_engine_tasks_open",
    help: "Tasks that have not ended.",
    labels: ["status"],
    collect: async (open) => {
      const { queued, running } = await read();
      open.set({ status: "queued" }, queued);
      open.set({ status: "running" }, running);
    },
  });
  gauge({
    name: "pricing_engine_task_age_seconds",
    help: "Age of the oldest task that has not ended.",
    collect: async (age) => age.set((await read()).oldestAgeMs / 1000),
  });
}
