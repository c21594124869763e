import { counter, gauge, histogram } from "@pricing-engine/chassis/metrics";
import type { OutboxRelay } from "@pricing-engine/postgres";
import type { Outcome } from "../domain/outcome.ts";
import { processorNames } from "../domain/processor.ts";
import type { Processors } from "../usecases/ports.ts";
import type { TrafficControl } from "../usecases/traffic.ts";

type OutboxStats = Awaited<ReturnType<OutboxRelay["stats"]>>;

const calls = counter({
  name: "pricing_engine_payment_calls_total",
  help: "Payments sent to a processor, by what came of it.",
  labels: ["processor", "outcome"],
});
const durations = histogram({
  name: "pricing_engine_payment_call_seconds",
  help: "Time of a call of a processor.",
  labels: ["processor"],
  buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
});

/** Counts and times what goes to the processors. */
export function measured(processors: Processors): Processors {
  return {
    ...processors,
    async pay(processor, call) {
      const startedMs = performance.now();
      const outcome: Outcome = await processors.pay(processor, call);
      calls.inc({ processor, outcome: outcome.kind });
      durations.observe({ processor }, (performance.now() - startedMs) / 1000);
      return outcome;
    },
  };
}

export function exposeTraffic(traffic: TrafficControl, inHand: () => number): void {
  const limits = gauge({ name: "pricing_engine_payment_limit", help: "Calls allowed at once.", labels: ["processor"] });
  const usable = gauge({
    name: "pricing_engine_payment_processor_usable",
    help: "1: neither the breaker nor the prober's verdict keeps payments from it.",
    labels: ["processor"],
  });
  gauge({
    name: "pricing_engine_payment_running",
    help: "Calls under way.",
    labels: ["processor"],
    collect: (running) => {
      const { processors, route } = traffic.state();
      for (const processor of processorNames) {
        running.set({ processor }, processors[processor].running);
        limits.set({ processor }, processors[processor].limit);
        usable.set({ processor }, Number(processors[processor].usable));
      }
      for (const name of ["default", "fallback", "hold"] as const)
        routes.set({ route: name }, Number(name === route.route));
      held.set(traffic.waiting());
      hand.set(inHand());
    },
  });
  const routes = gauge({ name: "pricing_engine_payment_route", help: "1: where payments go now.", labels: ["route"] });
  const held = gauge({ name: "pricing_engine_payment_held", help: "Payments that wait for a slot in this process." });
  const hand = gauge({ name: "pricing_engine_payment_in_hand", help: "Payments that are being sent or settled." });
}

/** What orders have not been told yet of their charges. */
export function exposeOutbox(relay: Pick<OutboxRelay, "stats">): void {
  // Collected side by side: one that another's collection filled would show what it was a scrape ago.
  let reading: Promise<OutboxStats> | undefined;
  const read = (): Promise<OutboxStats> => {
    reading ??= relay.stats().finally(() => {
      reading = undefined;
    });
    return reading;
  };
  const expose = (name: string, help: string, pick: (stats: OutboxStats[string]) => number): void => {
    gauge({
      name,
      help,
      labels: ["sink"],
      collect: async (metric) => {
        const sinks = await read();
        metric.reset();
        for (const [sink, stats] of Object.entries(sinks)) metric.set({ sink }, pick(stats));
      },
    });
  };
  expose("pricing_engine_outbox_depth", "Rows of the outbox that wait, by sink.", ({ depth }) => depth);
  expose(
    "pricing_engine_outbox_age_seconds",
    "Age of the oldest row of the outbox, by sink.",
    ({ oldestAgeMs }) => oldestAgeMs / 1000,
  );
  expose("pricing_engine_outbox_parked", "Rows of the outbox that their sink kept refusing.", ({ parked }) => parked);
}
