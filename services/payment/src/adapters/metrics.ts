import { counter, gauge, histogram, shareReading } from "@pricing-engine/chassis/metrics";
import type { Outcome } from "../domain/outcome.ts";
import { type ProcessorName, processorNames } from "../domain/processor.ts";
import type { Processors } from "../usecases/ports.ts";
import type { TrafficControl, TrafficState } from "../usecases/traffic.ts";

type ProcessorState = TrafficState["processors"][ProcessorName];

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

const breakerValues = { closed: 0, probing: 1, open: 2 } satisfies Record<ProcessorState["breaker"], number>;

export function exposeTraffic(traffic: TrafficControl, inHand: () => number): void {
  const read = shareReading(() => traffic.state());
  const byProcessor = (name: string, help: string, pick: (state: ProcessorState) => number): void => {
    gauge({
      name,
      help,
      labels: ["processor"],
      collect: async (metric) => {
        const { processors } = await read();
        for (const processor of processorNames) metric.set({ processor }, pick(processors[processor]));
      },
    });
  };
  byProcessor("pricing_engine_payment_limit", "Calls allowed at once.", ({ limit }) => limit);
  byProcessor(
    "pricing_engine_payment_processor_usable",
    "1: neither the breaker nor the prober's verdict keeps payments from it.",
    ({ usable }) => Number(usable),
  );
  byProcessor(
    "pricing_engine_payment_breaker",
    "0: closed; 1: probing, a call finds out whether it is well; 2: open.",
    ({ breaker }) => breakerValues[breaker],
  );
  byProcessor("pricing_engine_payment_running", "Calls under way.", ({ running }) => running);
  gauge({
    name: "pricing_engine_payment_route",
    help: "1: where payments go now.",
    labels: ["route"],
    collect: async (metric) => {
      const { route } = (await read()).route;
      for (const name of ["default", "fallback", "hold"] as const) metric.set({ route: name }, Number(name === route));
    },
  });
  gauge({
    name: "pricing_engine_payment_held",
    help: "Payments that wait for a slot in this process.",
    collect: (held) => held.set(traffic.waiting()),
  });
  gauge({
    name: "pricing_engine_payment_oldest_waiting_seconds",
    help: "Age of the oldest payment that waits in the table or for a slot in this process; 0: none.",
    collect: async (oldest) => oldest.set((await read()).oldestWaitMs / 1_000),
  });
  gauge({
    name: "pricing_engine_payment_in_hand",
    help: "Payments that are being sent or settled.",
    collect: (hand) => hand.set(inHand()),
  });
}
