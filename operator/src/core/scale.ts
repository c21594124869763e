/**
 * How many workers a role needs. Pure: `decide(state, look, settings)` is called every two seconds.
 *
 * A partition loads a worker by λ/μ (what arrives) + backlog/(μ × drainTarget) (what waits), in workers. The need is the
 * least number under which no member is loaded beyond one worker. A partition in which more
 * arrives than one worker can do gets one: it cannot be split. Up at once; down one step when nothing asked for more during a whole window.
 *
 *   look missing, group rebalancing, no worker ready, payments held, paused ──▶ frozen: the number stays, within min … cap
 *
 * It sleeps (min: 0) once nothing waits and nothing is to be done beside, and wakes for either.
 *
 * It does not oscillate: every step down comes after a window without a wish for more, and a number that proved too few
 * (up again soon after the step down to it, or dealt unevenly by the group) is not gone back to for ten minutes, then twenty …
 */
import {
  backlogOf,
  drainSecondsOf,
  explainLoad,
  hasQueue,
  learnRate,
  loadsOf,
  needOf,
  type Rate,
  sum,
  worstReal,
} from "./scale-load.ts";

export interface ScaleSettings {
  readonly min: number;
  readonly max: number;
  readonly drainTargetMs: number;
  /** Partitions of its topics: more members than that would be idle. */
  readonly partitions: number;
  /** A step down comes after a window in which no more was needed. Default 60,000. */
  readonly downWindowMs?: number;
}

export interface PartitionLook {
  /** `<topic>/<partition>`. */
  readonly key: string;
  readonly end: number;
  /** Clamped to what the log still holds. */
  readonly committed: number;
  /** Who reads it, when the group says so. */
  readonly member?: string | undefined;
  /** Of a retry topic: what waits there does so on purpose, and no worker makes it shorter. */
  readonly isRetry?: boolean;
}

export interface GroupLook {
  readonly partitions: readonly PartitionLook[];
  /** As Kafka says. `empty`: nobody is in it. */
  readonly group: "stable" | "rebalancing" | "empty";
}

export interface Look {
  readonly atMs: number;
  /** Undefined: it could not be measured. */
  readonly measured: GroupLook | undefined;
  /** Workers that are ready. */
  readonly ready: number;
  /** What the role has to do beside the group's messages: no measure of its number, but somebody must do it. */
  readonly beside?: number;
  /** Why scaling has to wait whatever is measured. */
  readonly frozenBy?: "hold" | "paused" | undefined;
}

export interface ScaleState {
  readonly desired: number;
  /** Looks of the last measuring window, oldest first. */
  readonly looks: readonly (GroupLook & { readonly atMs: number; readonly ready: number })[];
  /** As it was when work last queued. */
  readonly rate: Rate | undefined;
  /** What was needed lately, for the way down. */
  readonly needs: readonly { readonly atMs: number; readonly need: number }[];
  readonly changedAtMs: number;
  readonly steppedDownAtMs: number;
  /** So many were too few: not gone back to before `untilMs`. */
  readonly tooFew: { readonly count: number; readonly untilMs: number; readonly forMs: number } | undefined;
}

/** `Refused` is the runtime's, all others come of `decide`. */
export type ScaleReason =
  | "Steady"
  | "ScaledUp"
  | "ScaledDown"
  | "WokenUp"
  | "CoolingDown"
  | "Measuring"
  | "Starting"
  | "AtMaximum"
  | "AtPartitions"
  | "Rebalancing"
  | "MissingData"
  | "PaymentsHeld"
  | "Paused"
  | "Refused"
  | "LimitsChanged";

export interface ScaleDecision {
  readonly desired: number;
  readonly before: number;
  readonly reason: ScaleReason;
  readonly message: string;
  readonly lag: number | undefined;
  /** Until what waits is worked off at the measured rates; undefined when that is unknown or never. */
  readonly drainSeconds: number | undefined;
}

export const lookEveryMs = 2_000;
/** Rates are taken over this long. */
export const measureWindowMs = 10_000;
export const defaultDownWindowMs = 60_000;
/** A calm window ends with the look nearest to its end. */
const lookToleranceMs = 2_500;
const soonMs = 180_000;
const tooFewForMs = 600_000;
const tooFewMostMs = 7_200_000;

/** Sooner where something waits and nobody knows how fast it goes: a burst is not to wait for a second look. */
export function lookAgainMs({ lag, reason }: ScaleDecision): number {
  return reason === "Measuring" && lag !== undefined && lag > 0 ? lookEveryMs / 2 : lookEveryMs;
}

export function initialScale(desired: number, nowMs: number): ScaleState {
  return {
    desired,
    looks: [],
    rate: undefined,
    needs: [],
    changedAtMs: nowMs,
    steppedDownAtMs: Number.NEGATIVE_INFINITY,
    tooFew: undefined,
  };
}

export function decide(
  before: ScaleState,
  look: Look,
  settings: ScaleSettings,
): { state: ScaleState; decision: ScaleDecision } {
  const cap = Math.max(settings.min, Math.min(settings.max, Math.max(1, settings.partitions)));
  const clamp = (count: number) => Math.min(cap, Math.max(settings.min, count));
  const { downWindowMs = defaultDownWindowMs, drainTargetMs } = settings;
  const lag = look.measured && sum(look.measured.partitions.map(backlogOf));
  const beside = look.beside ?? 0;
  const waiting = lag === undefined ? "" : `${lag} waiting, `;

  const finish = (
    state: ScaleState,
    wanted: number,
    reason: ScaleReason,
    message: string,
    drainSeconds?: number,
  ): { state: ScaleState; decision: ScaleDecision } => {
    const desired = clamp(wanted);
    const changed = desired !== before.desired;
    const forced = changed && wanted === before.desired;
    return {
      state: { ...state, desired, changedAtMs: changed ? look.atMs : before.changedAtMs },
      decision: {
        desired,
        before: before.desired,
        reason: forced ? "LimitsChanged" : reason,
        message: forced ? `${before.desired} is outside of ${settings.min} … ${cap}` : message,
        lag,
        drainSeconds,
      },
    };
  };
  const freeze = (reason: ScaleReason, message: string) =>
    // What was seen so far is not followed by what comes after: rates start anew.
    finish({ ...before, looks: [] }, before.desired, reason, message);
  const wake = (count: number, message: string) => {
    // Woken soon after it went to sleep: it stays up for a while.
    const again = look.atMs - before.steppedDownAtMs < soonMs;
    const tooFew = again ? learnTooFew(before, look.atMs) : before.tooFew;
    return finish({ ...before, looks: [], needs: [], tooFew }, count, "WokenUp", message);
  };

  if (look.frozenBy === "paused") {
    // Also when it is outside of the limits: whoever paused it may want it there.
    const message = `${waiting}scaling is paused by an annotation`;
    const unchanged = { desired: before.desired, before: before.desired, reason: "Paused", message, lag } as const;
    return { state: { ...before, looks: [] }, decision: { ...unchanged, drainSeconds: undefined } };
  }
  if (look.measured === undefined || lag === undefined) return freeze("MissingData", "the group cannot be measured");
  if (look.frozenBy === "hold") {
    // Cancellations and expiries are never behind held charges.
    if (before.desired === 0 && beside > 0) return wake(1, `${beside} to do beside held payments, and no worker`);
    return freeze("PaymentsHeld", `${waiting}payments are held: more workers would hold them too`);
  }
  if (before.desired === 0 && lag + beside > 0) {
    const rate = before.rate?.perSecond;
    const count = rate === undefined ? 1 : Math.max(1, Math.ceil(lag / (rate * (drainTargetMs / 1000))));
    return wake(count, `${lag} waiting${beside > 0 ? `, ${beside} to do beside them` : ""}, and no worker`);
  }
  if (look.measured.group === "rebalancing") return freeze("Rebalancing", `${waiting}the group is rebalancing`);
  if (before.desired > 0 && look.ready === 0) return freeze("Starting", `${waiting}no worker is ready yet`);

  const looks = [
    ...before.looks.filter(({ atMs }) => look.atMs - atMs <= measureWindowMs && atMs < look.atMs),
    { ...look.measured, atMs: look.atMs, ready: look.ready },
  ];
  const rate = learnRate(before.rate, looks, drainTargetMs);
  const state = { ...before, looks, rate };
  const loads = loadsOf(looks, rate, drainTargetMs);
  const facts = explainLoad(lag, loads, rate);
  if (loads === undefined && (looks.length < 2 || hasQueue(looks, drainTargetMs))) {
    return finish({ ...state, needs: [] }, before.desired, "Measuring", `${facts}: no rate is known yet`);
  }
  // Of unknown speed, but nothing queues for them: one fewer is tried.
  const dealt = loads === undefined ? Math.max(1, before.desired - 1) : needOf(loads, cap);
  const unevenly =
    loads !== undefined && dealt > 0 && dealt <= before.desired && worstReal(loads, before.desired) > 1 + 1e-9;
  const tooFew = unevenly ? learnTooFew(before, look.atMs) : before.tooFew;
  const isAvoided = tooFew !== undefined && look.atMs < tooFew.untilMs && (dealt > 0 || tooFew.count === 0);
  const least = lag + beside > 0 ? 1 : 0;
  const need = Math.max(dealt, least, isAvoided ? Math.min(cap, tooFew.count + 1) : 0);
  const overloaded = loads !== undefined && sum(loads.map(({ load }) => load)) > cap;
  const needs = [...before.needs.filter(({ atMs }) => look.atMs - atMs < downWindowMs), { atMs: look.atMs, need }];
  const drainSeconds = loads === undefined ? undefined : drainSecondsOf(lag, loads, rate, look.ready);
  const noted = { ...state, needs, tooFew };
  if (need > before.desired && before.desired < cap) {
    const again = look.atMs - before.steppedDownAtMs < soonMs;
    const learned = again ? learnTooFew(before, look.atMs) : tooFew;
    return finish({ ...noted, tooFew: learned }, need, "ScaledUp", `${facts}: ${need} needed`, drainSeconds);
  }
  if (before.desired === cap && overloaded) {
    const atPartitions = settings.partitions < settings.max;
    const limit = atPartitions ? `${cap} partitions are the cap` : `max is ${cap}`;
    return finish(noted, cap, atPartitions ? "AtPartitions" : "AtMaximum", `${facts}: ${limit}`, drainSeconds);
  }
  if (need >= before.desired || before.desired <= settings.min) {
    return finish(noted, before.desired, "Steady", facts, drainSeconds);
  }
  const highest = Math.max(...needs.map((entry) => entry.need));
  const calmSinceMs = Math.max(before.changedAtMs, needs[0]?.atMs ?? look.atMs);
  if (highest >= before.desired || look.atMs - calmSinceMs < downWindowMs - lookToleranceMs) {
    const calm = `down after ${Math.round(downWindowMs / 1000)} calm seconds`;
    return finish(noted, before.desired, "CoolingDown", `${facts}: ${need} needed, ${calm}`, drainSeconds);
  }
  // The next step down needs a calm window of its own.
  return finish(
    { ...noted, needs: [], steppedDownAtMs: look.atMs },
    before.desired - 1,
    "ScaledDown",
    `${facts}: ${need} needed`,
    drainSeconds,
  );
}

/** The same number again waits twice as long. */
function learnTooFew({ desired, tooFew }: ScaleState, atMs: number): ScaleState["tooFew"] {
  const forMs = tooFew?.count === desired ? Math.min(tooFewMostMs, tooFew.forMs * 2) : tooFewForMs;
  return { count: desired, untilMs: atMs + forMs, forMs };
}
