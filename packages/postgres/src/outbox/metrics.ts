import { gauge, shareReading } from "@pricing-engine/chassis/metrics";
import type { OutboxRelay } from "./relay.ts";
import type { SinkStats } from "./stats.ts";

/** Shows at scrape time what waits in the outbox of the process, what of it was given up, and since when; by sink. */
export function exposeOutbox(relay: Pick<OutboxRelay, "stats">): void {
  const read = shareReading(() => relay.stats());
  const expose = (name: string, help: string, pick: (stats: SinkStats) => number): void => {
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
