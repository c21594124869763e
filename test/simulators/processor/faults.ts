/**
 * What a processor does wrong, beside being slow or failing. `share` is the part of the calls that it befalls, 0 to 1.
 * - drop-before: the connection is cut, nothing recorded
 * - drop-after: recorded, then the connection is cut
 * - page: a proxy's page with status 200, nothing recorded
 * - hang-before, hang-after: the same without ever an answer
 * - garbage: recorded, the answer is no HTTP
 * - trickle: recorded, the answer comes a byte at a time
 * - error-after: recorded, answered 502
 */
export const faultKinds = [
  "none",
  "drop-before",
  "drop-after",
  "page",
  "hang-before",
  "hang-after",
  "garbage",
  "trickle",
  "error-after",
] as const;
export type FaultKind = (typeof faultKinds)[number];
export type Fault = { kind: FaultKind; share: number };

export const noFault: Fault = { kind: "none", share: 0 };

export function isFault(value: unknown): value is Fault {
  if (typeof value !== "object" || value === null) return false;
  const { kind, share } = value as Partial<Fault>;
  return faultKinds.some((known) => known === kind) && typeof share === "number" && share >= 0 && share <= 1;
}

/** Every n-th call, evenly, so that a test of 100 calls at 0.1 sees exactly 10. */
export function makeFaultPicker(): (fault: Fault) => FaultKind {
  let owed = 0;
  return (fault) => {
    if (fault.kind === "none") return "none";
    owed += fault.share;
    if (owed < 1 - 1e-9) return "none";
    owed -= 1;
    return fault.kind;
  };
}
