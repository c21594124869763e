import { counter } from "@pricing-engine/chassis/metrics";

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
