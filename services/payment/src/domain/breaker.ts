/**
 * Reacts at once where the prober needs seconds: after a few bad answers in a row nothing more is sent, and from time to time one
 * payment tries again. What that one says, decides; answers of calls that began before change nothing.
 */
export type Breaker =
  | { state: "closed"; badAnswers: number }
  | { state: "open"; untilMs: number; waitMs: number }
  | { state: "probing"; waitMs: number };

export type BreakerSettings = { badAnswers: number; firstWaitMs: number; maxWaitMs: number };

export const defaultBreaker: BreakerSettings = { badAnswers: 5, firstWaitMs: 500, maxWaitMs: 5000 };

export function makeBreaker(): Breaker {
  return { state: "closed", badAnswers: 0 };
}

/** Whether one call may find out how the processor is. */
export function mayProbe(breaker: Breaker, nowMs: number): boolean {
  return breaker.state === "open" && nowMs >= breaker.untilMs;
}

export function onProbe(breaker: Breaker): Breaker {
  return breaker.state === "open" ? { state: "probing", waitMs: breaker.waitMs } : breaker;
}

/** The probe was not needed after all: the next one may go at once. */
export function onProbeUnused(breaker: Breaker, nowMs: number): Breaker {
  return breaker.state === "probing" ? { state: "open", untilMs: nowMs, waitMs: breaker.waitMs } : breaker;
}

export function onAnswer(
  breaker: Breaker,
  answer: { good: boolean; probe: boolean },
  nowMs: number,
  settings: BreakerSettings,
): Breaker {
  switch (breaker.state) {
    case "closed": {
      if (answer.good) return breaker.badAnswers === 0 ? breaker : { state: "closed", badAnswers: 0 };
      const badAnswers = breaker.badAnswers + 1;
      if (badAnswers < settings.badAnswers) return { state: "closed", badAnswers };
      return { state: "open", untilMs: nowMs + settings.firstWaitMs, waitMs: settings.firstWaitMs };
    }
    case "open":
      return breaker;
    case "probing": {
      if (!answer.probe) return breaker;
      if (answer.good) return { state: "closed", badAnswers: 0 };
      const waitMs = Math.min(breaker.waitMs * 2, settings.maxWaitMs);
      return { state: "open", untilMs: nowMs + waitMs, waitMs };
    }
  }
}

/** The prober says that it is well: the next payment finds out. */
export function onGoodNews(breaker: Breaker, nowMs: number): Breaker {
  return breaker.state === "open" ? { ...breaker, untilMs: nowMs } : breaker;
}
