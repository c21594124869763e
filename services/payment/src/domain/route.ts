/**
 * Where a payment that was never sent goes now. The aim is the least fee with every deadline kept: the default processor as long as
 * it is fast or keeps up, waiting for it while the deadline allows, and the fallback for what would come too late.
 *
 * A payment must be sent within `maxHoldMs` of its arrival. That deadline is spent on three things: what it has waited already, the
 * queue before it, and the call itself.
 */
export type RouteSettings = {
  maxHoldMs: number;
  /** A default processor that answers faster than this needs no comparison. */
  preferDefaultBelowMs: number;
  /** How many times slower than the fallback the default may be and still count as fast. */
  maxLatencyRatio: number;
};

export type ProcessorView = {
  /** False when the prober says that it is down, or the local breaker is open. */
  usable: boolean;
  /** Recent time of a call. */
  latencyMs: number;
  /** What it can finish a second at its present limit of calls in flight. */
  capacityPerSecond: number;
};

export type RouteInput = {
  default: ProcessorView;
  fallback: ProcessorView;
  /** Payments that wait and were never sent: in Kafka and in the table. */
  backlog: number;
  arrivalPerSecond: number;
  /** Age of the oldest of them. */
  oldestWaitMs: number;
};

export type RouteDecision = { route: "default" | "fallback" | "hold"; reason: string };

/**
 * Who asks for the summary of what ended two seconds ago should find it there, and settling takes a moment too. So a default
 * processor whose calls take longer is not one that keeps up, while the fallback is faster (decision 0031).
 */
const freshWithinMs = 1_500;

export function chooseRoute(input: RouteInput, settings: RouteSettings): RouteDecision {
  const { default: cheap, fallback } = input;
  if (cheap.usable) {
    if (isFast(cheap, fallback, settings)) return { route: "default", reason: "default is fast" };
    if (cheap.latencyMs > freshWithinMs && fallback.usable && fallback.latencyMs <= freshWithinMs) {
      return { route: "fallback", reason: "default is too slow for a summary of two seconds ago" };
    }
    if (cheap.capacityPerSecond >= input.arrivalPerSecond && waitAt(cheap, input) <= settings.maxHoldMs) {
      return { route: "default", reason: "default is slow and keeps up" };
    }
    if (waitAt(cheap, input) + input.oldestWaitMs <= settings.maxHoldMs) {
      return { route: "default", reason: "default is slow, the queue still meets its deadline" };
    }
    if (fallback.usable) return { route: "fallback", reason: "default is too slow for the deadline" };
    return { route: "default", reason: "default is slow and there is no other" };
  }
  if (!fallback.usable) return { route: "hold", reason: "both processors are down" };
  const slackMs = settings.maxHoldMs - input.oldestWaitMs - waitAt(fallback, input);
  if (slackMs > 0) return { route: "hold", reason: "default is down, the deadline allows waiting" };
  return { route: "fallback", reason: "default is down for longer than the deadline allows" };
}

function isFast(cheap: ProcessorView, fallback: ProcessorView, settings: RouteSettings): boolean {
  if (cheap.latencyMs < settings.preferDefaultBelowMs) return true;
  return fallback.usable && cheap.latencyMs <= settings.maxLatencyRatio * fallback.latencyMs;
}

/** How long the last of the queue would wait for its answer there. */
function waitAt(processor: ProcessorView, { backlog }: RouteInput): number {
  if (backlog === 0) return processor.latencyMs;
  if (processor.capacityPerSecond <= 0) return Number.POSITIVE_INFINITY;
  return (backlog / processor.capacityPerSecond) * 1000 + processor.latencyMs;
}
