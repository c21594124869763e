import { counter, histogram } from "@pricing-engine/chassis/metrics";

export const transitions = counter({
  name: "pricing_engine_order_transitions_total",
  help: "Changes of orders, by what moved them and to which status.",
  labels: ["event", "to"],
});

export const timeToNotified = histogram({
  name: "pricing_engine_order_notified_seconds",
  help: "From the answer to the customer's request to the notification.",
  buckets: [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2, 5, 15, 60, 300],
});

export const nudges = counter({
  name: "pricing_engine_order_nudges_total",
  help: "Overdue orders that the sweeper asked for again, by what they wait for.",
  labels: ["command"],
});
