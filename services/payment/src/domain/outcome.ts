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

/** How Envoy begins to tell of a connection that it had: also when it could not be made, which is told apart by words that vary. */
const brokenUpstream = "upstream connect error or disconnect/reset before headers";

/** Reads an answer to `POST /payments`. `body` is undefined when it was not read to its end. */
export function outcomeOfAnswer(status: number, body: string | undefined): Outcome {
  const reason = `status ${status}`;
  // Asking again is cheap and gives a whole answer, so half of one settles nothing.
  if (body === undefined) return { kind: "unknown", reason: `${reason}, broken off` };
  switch (status) {
    case 200:
      // A page of whoever stands between is no word of the processor's.
      if (!isEmptyOrJson(body)) return { kind: "unknown", reason: `${reason}, no JSON` };
      return { kind: "recorded", already: false };
    case 422:
      return { kind: "recorded", already: true };
    case 429:
      return { kind: "refused", reason, overloaded: true };
    case 500:
    case 503:
      // A proxy that had sent it on when the processor went away says 503, too.
      if (body.includes(brokenUpstream)) return { kind: "unknown", reason: `${reason}, from a proxy` };
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

function isEmptyOrJson(text: string): boolean {
  // Some begin with a mark of the byte order, which JSON does not have; `trim` takes it off.
  const body = text.trim();
  if (body === "") return true;
  try {
    JSON.parse(body);
    return true;
  } catch {
    return false;
  }
}

/** Reads a call without a status: what failed before it was connected recorded nothing. */
export function outcomeOfFailure(failure: CallFailure): Outcome {
  return failure.connected
    ? { kind: "unknown", reason: failure.code }
    : { kind: "refused", reason: failure.code, overloaded: false };
}
