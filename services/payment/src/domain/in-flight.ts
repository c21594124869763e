/**
 * How many calls a processor is given at once. Bounding this, and not the time of a call, is what keeps outcomes known: a time-out
 * leaves a payment pinned.
 *
 * Hill climbing, a window of answers at a time: with the limit in use, try half as many again; where the calls then take longer by
 * nearly as much, they only queue there, and the old limit comes back. A latency that changes while the limit stays is the processor's
 * own affair and changes nothing: comparing with the best latency ever seen would strangle one that became slow for good.
 */
export type InFlight = {
  limit: number;
  /** Mean of the last window with answers; 0 before the first. */
  latencyMs: number;
  /** What the limit and latency were before the step that is being tried. */
  trial: { limit: number; latencyMs: number } | null;
  /** Windows to stay where it is. */
  restWindows: number;
};

export type InFlightSettings = { min: number; max: number; initial: number };

export const defaultInFlight: InFlightSettings = { min: 4, max: 600, initial: 64 };

export type InFlightWindow = {
  answers: number;
  meanLatencyMs: number;
  /** Whether the limit was in use: an idle one proves nothing. */
  busy: boolean;
  /** Whether a 429 came. */
  overloaded: boolean;
};

export function makeInFlight(settings: InFlightSettings = defaultInFlight): InFlight {
  return { limit: settings.initial, latencyMs: 0, trial: null, restWindows: 0 };
}

const step = 1.5;
const backOff = 0.7;
/** The share of a step that the latency may follow it by and the step still pay. */
const queueing = 0.8;
const restAfterOverload = 5;
const restAfterQueueing = 10;

export function onWindow(state: InFlight, window: InFlightWindow, settings: InFlightSettings): InFlight {
  const latencyMs = window.answers > 0 ? window.meanLatencyMs : state.latencyMs;
  if (window.overloaded) {
    const limit = clamp((state.trial?.limit ?? state.limit) * backOff, settings);
    return { limit, latencyMs, trial: null, restWindows: restAfterOverload };
  }
  if (window.answers === 0 || !window.busy) return { ...state, latencyMs };
  if (state.trial !== null) {
    const gain = state.limit / state.trial.limit;
    const stretch = latencyMs / Math.max(state.trial.latencyMs, 0.1);
    if (stretch >= 1 + queueing * (gain - 1)) {
      return { limit: state.trial.limit, latencyMs, trial: null, restWindows: restAfterQueueing };
    }
  }
  if (state.restWindows > 0) return { ...state, latencyMs, trial: null, restWindows: state.restWindows - 1 };
  const limit = clamp(state.limit * step, settings);
  return { limit, latencyMs, trial: limit > state.limit ? { limit: state.limit, latencyMs } : null, restWindows: 0 };
}

/** Calls a second that this limit and latency allow. */
export function capacityPerSecond(state: InFlight): number {
  return (Math.floor(state.limit) * 1000) / Math.max(state.latencyMs, 1);
}

function clamp(limit: number, { min, max }: InFlightSettings): number {
  return Math.min(max, Math.max(min, limit));
}
