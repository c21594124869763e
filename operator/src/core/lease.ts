/**
 * Who leads, decided from the Lease as it was read and from our own monotonic clock: the times in a Lease are another
 * machine's and never compared with ours. A holder is gone when its Lease did not change for the time that it claimed.
 *
 *   follower ──(free, or not renewed for its duration)──▶ leader ──(not renewed for the deadline, or taken)──▶ follower
 *
 * It does not fence: a leader that was paused may go on for a moment. What it writes carries the epoch or a
 * resourceVersion, and the one that comes later wins.
 */

/** `spec` of a `coordination.k8s.io/v1` Lease. */
export interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  /** RFC 3339 with six digits of a second. */
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

export interface LeaseDurations {
  /** How long a leader counts as alive without renewing. */
  readonly leaseMs: number;
  /** After how long without a renewal a leader stops being one; shorter, so that it stops before another begins. */
  readonly renewDeadlineMs: number;
  readonly retryMs: number;
}

/** What a candidate remembers. */
export interface LeaseMemory {
  /** The last version that was seen, and when it was first seen. */
  readonly seen: { readonly version: string; readonly atMs: number } | undefined;
  /** Our term, while we hold it; `renewedAtMs` is when the last successful renewal was sent. */
  readonly term: { readonly epoch: number; readonly renewedAtMs: number } | undefined;
  /** Of anybody's term, as far as we saw. */
  readonly highestEpoch: number;
}

export const noMemory: LeaseMemory = { seen: undefined, term: undefined, highestEpoch: 0 };

/** A Lease in the API: one that was deleted and made again has another uid. */
export interface LeaseVersion {
  readonly uid: string;
  readonly version: string;
}

/** The Lease as it was just read; undefined: there is none. */
export type LeaseView = (LeaseVersion & { readonly spec: LeaseSpec }) | undefined;

export type LeaseDecision =
  /** `over` is what the write must be conditional on; undefined: make it. */
  | { readonly act: "write"; readonly spec: LeaseSpec; readonly over: LeaseVersion | undefined; readonly epoch: number }
  /** Another one holds it; not before `atMs` can that end unseen. */
  | { readonly act: "wait"; readonly atMs: number };

export interface LeaseMoment {
  readonly nowMs: number;
  /** For the times in the Lease, which are for people. */
  readonly date: Date;
}

/** Notes when this version was first seen, and that a term is over when another one's name is in it. */
export function observeLease(memory: LeaseMemory, view: LeaseView, identity: string, nowMs: number): LeaseMemory {
  if (view === undefined) return { ...memory, seen: undefined, term: undefined };
  return {
    seen: memory.seen?.version === view.version ? memory.seen : { version: view.version, atMs: nowMs },
    term: view.spec.holderIdentity === identity ? memory.term : undefined,
    highestEpoch: Math.max(memory.highestEpoch, view.spec.leaseTransitions ?? 0),
  };
}

export function decideLease(
  memory: LeaseMemory,
  view: LeaseView,
  self: { readonly identity: string; readonly durations: LeaseDurations },
  { nowMs, date }: LeaseMoment,
): LeaseDecision {
  const spec = view?.spec ?? {};
  const now = microTime(date);
  const leaseDurationSeconds = Math.ceil(self.durations.leaseMs / 1000);
  if (view !== undefined && isLeader(memory, self.durations, nowMs) && spec.holderIdentity === self.identity) {
    const renewed = { ...spec, leaseDurationSeconds, renewTime: now };
    return { act: "write", spec: renewed, over: versionOf(view), epoch: memory.term?.epoch ?? 0 };
  }
  // Also when the name in it is ours: that was an earlier term, or a write of which we never heard.
  const holder = spec.holderIdentity ?? "";
  if (holder !== "" && holder !== self.identity) {
    const endsAtMs = (memory.seen?.atMs ?? nowMs) + holdsForMs(spec, self.durations);
    if (nowMs < endsAtMs) return { act: "wait", atMs: endsAtMs };
  }
  const epoch = Math.max(memory.highestEpoch + 1, view === undefined ? firstEpoch(date) : 0);
  return {
    act: "write",
    spec: {
      holderIdentity: self.identity,
      leaseDurationSeconds,
      acquireTime: now,
      renewTime: now,
      leaseTransitions: epoch,
    },
    over: view === undefined ? undefined : versionOf(view),
    epoch,
  };
}

/** The write was taken: it was sent at `sentAtMs` and made that version. */
export function ledSince(version: string, epoch: number, sentAtMs: number): LeaseMemory {
  return { seen: { version, atMs: sentAtMs }, term: { epoch, renewedAtMs: sentAtMs }, highestEpoch: epoch };
}

export function isLeader({ term }: LeaseMemory, { renewDeadlineMs }: LeaseDurations, nowMs: number): boolean {
  return term !== undefined && nowMs - term.renewedAtMs < renewDeadlineMs;
}

/** What a leader leaves behind that goes of its own will: the next need not wait. */
export function releasedSpec(epoch: number, date: Date): LeaseSpec {
  const now = microTime(date);
  return {
    holderIdentity: "",
    leaseDurationSeconds: 1,
    acquireTime: now,
    renewTime: now,
    leaseTransitions: epoch,
  };
}

/** When to look again. A leader renews; a follower comes at the moment at which the holder may be gone. */
export function nextLookMs(decision: LeaseDecision | undefined, { retryMs }: LeaseDurations, nowMs: number): number {
  if (decision?.act !== "wait") return retryMs;
  return Math.max(0, Math.min(retryMs, decision.atMs - nowMs));
}

function versionOf({ uid, version }: LeaseVersion): LeaseVersion {
  return { uid, version };
}

function holdsForMs({ leaseDurationSeconds }: LeaseSpec, { leaseMs }: LeaseDurations): number {
  return leaseDurationSeconds === undefined || leaseDurationSeconds <= 0 ? leaseMs : leaseDurationSeconds * 1000;
}

const epochOrigin = Date.UTC(2020, 0);

/**
 * A Lease that somebody deleted must not begin again at 0: what earlier leaders wrote with a higher epoch would win for
 * ever. Minutes since 2020 are above it unless there was more than one take-over a minute, and fit an int32.
 */
function firstEpoch(date: Date): number {
  return Math.floor((date.getTime() - epochOrigin) / 60_000);
}

/** The API server takes exactly six digits. */
function microTime(date: Date): string {
  return date.toISOString().replace("Z", "000Z");
}
