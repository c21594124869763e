import { setTimeout as delay } from "node:timers/promises";
import type { Lifecycle } from "@pricing-engine/chassis/lifecycle";
import type { Logger } from "@pricing-engine/chassis/log";
import { gauge } from "@pricing-engine/chassis/metrics";
import { type Reading, sumReadings } from "../domain/back-pressure.ts";

/** Orders that wait somewhere; undefined while nothing recent is known of it. */
export type PressureGauge = () => number | undefined;

const everyMs = 1_000;
// Of an engine that takes no orders: still often enough for the next one to find a reading that counts.
const idleEveryMs = 5_000;
const idleAfterMs = 30_000;
const askTimeoutMs = 5_000;

/** Measures all the time, so that taking an order waits for no measurement. */
export function startPressureGauge(deps: {
  /** What is added up, by the name under which it is logged. */
  parts: Readonly<Record<string, (signal: AbortSignal) => Promise<number>>>;
  /** Monotonic clock, milliseconds. */
  now: () => number;
  logger: Pick<Logger, "warn">;
  lifecycle: Lifecycle;
}): PressureGauge {
  const { now, logger, lifecycle } = deps;
  const readings = new Map<string, Reading>();
  const stopping = new AbortController();
  const waiting = gauge({
    name: "pricing_engine_orders_waiting",
    help: "What back-pressure on orders goes by: lag of the stages, unsent outbox rows and unfinished charges.",
    labels: ["part"],
  });
  let askedAtMs = Number.NEGATIVE_INFINITY;

  async function follow(name: string, measure: (signal: AbortSignal) => Promise<number>): Promise<void> {
    let failing = false;
    while (!stopping.signal.aborted) {
      const atMs = now();
      try {
        const value = await measure(AbortSignal.any([stopping.signal, AbortSignal.timeout(askTimeoutMs)]));
        readings.set(name, { value, atMs });
        waiting.set({ part: name }, value);
        failing = false;
      } catch (error) {
        if (!failing && !stopping.signal.aborted) logger.warn({ err: error, part: name }, "what waits is not known");
        failing = true;
      }
      const pauseMs = now() - askedAtMs < idleAfterMs ? everyMs : idleEveryMs;
      await delay(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }

  // They end by themselves: `follow` keeps every failure.
  for (const [name, measure] of Object.entries(deps.parts)) void follow(name, measure);
  lifecycle.defer("pressure gauge", () => stopping.abort());
  return () => {
    askedAtMs = now();
    return sumReadings([...readings.values()], askedAtMs);
  };
}
