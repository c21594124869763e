/**
 * What one call of a processor tells about the payment there.
 * - recorded: it is there, by this call (200) or an earlier one (422)
 * - refused: this attempt recorded nothing; an earlier one may have
 * - unknown: this attempt may have been recorded, now or later
 * - misconfigured: nobody can say; the same call will go on failing until somebody mends the settings
 */
export type Outcome =
  | { kind: "recorded"; already: boolean }
  | { kind: "refused"; reason: string; overloaded: boolean }
  | { kind: "unknown"; reason: string }
  | { kind: "misconfigured"; reason: string };

/** How a call ended that got no status: `connected` is false when it failed before anything could be sent. */
export type CallFailure = { connected: boolean; code: string };

/** Reads a status of `POST /payments`. `wellFormed`: whether what came was HTTP with a body read to its end. */
export function outcomeOfStatus(status: number, wellFormed: boolean): Outcome {
  const reason = `status ${status}`;
  // Asking again is cheap and gives a whole answer, so half of one settles nothing.
  if (!wellFormed) return { kind: "unknown", reason: `${reason}, broken off` };
  switch (status) {
    case 200:
      return { kind: "recorded", already: false };
    case 422:
      return { kind: "recorded", already: true };
    case 429:
      return { kind: "refused", reason, overloaded: true };
    case 500:
    case 503:
      return { kind: "refused", reason, overloaded: false };
    case 400:
    case 401:
    case 403:
    case 404:
      return { kind: "misconfigured", reason };
    default:
      return { kind: "unknown", reason };
  }
}

/** Reads a call without a status: what failed before it was connected recorded nothing. */
export function outcomeOfFailure(failure: CallFailure): Outcome {
  return failure.connected
    ? { kind: "unknown", reason: failure.code }
    : { kind: "refused", reason: failure.code, overloaded: false };
}
