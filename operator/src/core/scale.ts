/**
 * How many workers a role needs. Pure: `decide(state, look, settings)` is called every two seconds.
 *
 * A partition loads a worker by λ/μ (what arrives) + backlog/(μ × drainTarget) (what waits), in workers. The need is the
 * least number under which no member is loaded beyond one worker. A partition in which more
 * arrives than one worker can do gets one: it cannot be split. Up at once; down one step when nothing asked for more during a whole window.
 *
 *   look missing, group rebalancing, payments held, paused ──▶ frozen: the number stays, within min … cap
 *
 * It does not oscillate: every step down comes after a window without a wish for more, and a number that proved too few
 * (up again soon after the step down to it, or dealt unevenly by the group) is not gone back to for ten minutes, then twenty …
 */

export interface ScaleSettings {
  readonly min: number;
  readonly max: number;
  readonly drainTargetMs: number;
  /** Partitions of its topics: more members than that would be idle. */
  readonly partitions: number;
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
  /** Why scaling has to wait whatever is measured. */
  readonly frozenBy?: "hold" | "paused" | undefined;
}

export interface ScaleState {
  readonly desired: number;
  /** Looks of the last measuring window, oldest first. */
  readonly looks: readonly (GroupLook & { readonly atMs: number; readonly ready: number })[];
  /** Messages a second that one busy worker got through, when it was last seen busy. */
  readonly ratePerWorker: number | undefined;
  /** What was needed lately, for the way down. */
  readonly needs: readonly { readonly atMs: number; readonly need: number }[];
  readonly changedAtMs: number;
  readonly steppedDownAtMs: number;
  /** So many were too few: not gone back to before `untilMs`. */
  readonly tooFew: { readonly count: number; readonly untilMs: number; readonly forMs: number } | undefined;
}

export type ScaleReason =
  | "Steady"
  | "ScaledUp"
  | "ScaledDown"
  | "WokenUp"
  | "CoolingDown"
  | "Measuring"
  | "AtMaximum"
  | "AtPartitions"
  | "Rebalancing"
  | "MissingData"
  | "PaymentsHeld"
  | "Paused"
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

/** Commits come in jumps: rates are taken over this long. */
export const measureWindowMs = 10_000;
export const downWindowMs = 60_000;
const newRateWeight = 0.3;
const soonMs = 180_000;
const tooFewForMs = 600_000;
const tooFewMostMs = 7_200_000;

export function initialScale(desired: number, nowMs: number): ScaleState {
  return {
    desired,
    looks: [],
    ratePerWorker: undefined,
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
  const lag = look.measured && sum(look.measured.partitions.map(backlogOf));

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

  if (look.frozenBy === "paused") return freeze("Paused", "scaling is paused by an annotation");
  if (look.measured === undefined || lag === undefined) return freeze("MissingData", "the group cannot be measured");
  if (look.measured.group === "rebalancing") return freeze("Rebalancing", "the group is rebalancing");
  if (look.frozenBy === "hold") return freeze("PaymentsHeld", "payments are held: more workers would hold them too");
  if (before.desired === 0 && lag > 0) {
    const rate = before.ratePerWorker;
    const woken = rate === undefined ? 1 : Math.max(1, Math.ceil(lag / (rate * (settings.drainTargetMs / 1000))));
    return finish({ ...before, looks: [], needs: [] }, woken, "WokenUp", `${lag} waiting and no worker`);
  }

  const looks = [
    ...before.looks.filter(({ atMs }) => look.atMs - atMs <= measureWindowMs && atMs < look.atMs),
    { ...look.measured, atMs: look.atMs, ready: look.ready },
  ];
  const ratePerWorker = learnRate(before.ratePerWorker, looks);
  const state = { ...before, looks, ratePerWorker };
  const loads = loadsOf(looks, ratePerWorker, settings.drainTargetMs);
  if (loads === undefined) {
    return finish(state, before.desired, "Measuring", "no rate is known yet");
  }
  const dealt = needOf(loads, cap);
  const unevenly = dealt > 0 && dealt <= before.desired && worstReal(loads, before.desired) > 1 + 1e-9;
  const tooFew = unevenly ? learnTooFew(before, look.atMs) : before.tooFew;
  const avoided = dealt > 0 && tooFew !== undefined && look.atMs < tooFew.untilMs ? tooFew.count + 1 : 0;
  const need = Math.max(dealt, Math.min(cap, avoided));
  const overloaded = sum(loads.map(({ load }) => load)) > cap;
  const needs = [...before.needs.filter(({ atMs }) => look.atMs - atMs < downWindowMs), { atMs: look.atMs, need }];
  const drainSeconds = drainSecondsOf(lag, loads, ratePerWorker, look.ready);
  const facts = explain(lag, loads, ratePerWorker);
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
  if (need === before.desired || before.desired <= settings.min) {
    return finish(noted, before.desired, "Steady", facts, drainSeconds);
  }
  const highest = Math.max(...needs.map((entry) => entry.need));
  const calmSinceMs = Math.max(before.changedAtMs, needs[0]?.atMs ?? look.atMs);
  if (highest >= before.desired || look.atMs - calmSinceMs < downWindowMs - 2_500) {
    return finish(
      noted,
      before.desired,
      "CoolingDown",
      `${facts}: ${need} needed, down after a calm minute`,
      drainSeconds,
    );
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

interface PartitionLoad {
  readonly member: string | undefined;
  /** In workers. */
  readonly load: number;
  readonly arrivalPerSecond: number;
  /** More arrives than one worker can do: no number of workers helps it. */
  readonly isHot: boolean;
}

function learnRate(known: number | undefined, looks: ScaleState["looks"]): number | undefined {
  const [first] = looks;
  const last = looks.at(-1);
  if (first === undefined || last === undefined || last.atMs - first.atMs < 4_000) return known;
  if (looks.some(({ ready }) => ready === 0 || ready !== last.ready)) return known;
  // Only what always had something waiting shows how fast a worker can be.
  const busy = last.partitions.filter(({ key }) =>
    looks.every(({ partitions }) => partitions.some((entry) => entry.key === key && backlogOf(entry) > 0)),
  );
  const done = sum(busy.map(({ key, committed }) => committed - (find(first, key)?.committed ?? committed)));
  if (done <= 0) return known;
  const members = new Set(busy.flatMap(({ member }) => member ?? []));
  const workers = members.size > 0 ? members.size : Math.min(last.ready, busy.length);
  const rate = done / ((last.atMs - first.atMs) / 1000) / workers;
  return known === undefined ? rate : known + newRateWeight * (rate - known);
}

/** Undefined while nothing says how fast a worker is, or how much arrives. */
function loadsOf(
  looks: ScaleState["looks"],
  rate: number | undefined,
  drainTargetMs: number,
): readonly PartitionLoad[] | undefined {
  const [first] = looks;
  const last = looks.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const seconds = (last.atMs - first.atMs) / 1000;
  if (seconds < 2) return undefined;
  const loads = last.partitions.map((partition) => {
    const { end, key, member } = partition;
    const arrivalPerSecond = Math.max(0, end - (find(first, key)?.end ?? end)) / seconds;
    const perSecond = arrivalPerSecond + backlogOf(partition) / (drainTargetMs / 1000);
    const isHot = arrivalPerSecond >= (rate ?? Number.POSITIVE_INFINITY);
    return { member, arrivalPerSecond, isHot, load: perSecond === 0 ? 0 : perSecond / (rate ?? Number.NaN) };
  });
  return loads.some(({ load }) => Number.isNaN(load)) ? undefined : loads;
}

/** The same number again waits twice as long. */
function learnTooFew({ desired, tooFew }: ScaleState, atMs: number): ScaleState["tooFew"] {
  const forMs = tooFew?.count === desired ? Math.min(tooFewMostMs, tooFew.forMs * 2) : tooFewForMs;
  return { count: desired, untilMs: atMs + forMs, forMs };
}

function needOf(loads: readonly PartitionLoad[], cap: number): number {
  const total = sum(loads.map(({ load }) => Math.min(1, load)));
  if (total === 0) return 0;
  const least = Math.max(1, Math.ceil(total - 1e-9));
  let need = cap;
  // From the cap down: more members can be dealt worse than fewer, and the way down must not lead through such a number.
  while (need > least && worstDealt(loads, need - 1) <= 1 + 1e-9) need--;
  return need;
}

/** The most loaded of `count` members, when partitions are dealt as our assigner deals them: in turn, topic after topic. */
function worstDealt(loads: readonly PartitionLoad[], count: number): number {
  const members = new Array<number>(count).fill(0);
  loads.forEach((partition, turn) => {
    members[turn % count] = (members[turn % count] ?? 0) + splittable(partition);
  });
  return Math.max(...members);
}

/** By what the group says; 0 unless it says who reads every partition, and it is as large as we think. */
function worstReal(loads: readonly PartitionLoad[], running: number): number {
  const members = new Map<string, number>();
  for (const partition of loads) {
    if (partition.member === undefined) return 0;
    members.set(partition.member, (members.get(partition.member) ?? 0) + splittable(partition));
  }
  return members.size === running ? Math.max(...members.values()) : 0;
}

/** A hot partition has its worker already, in the total; to part it from its neighbours would take them all apart. */
function splittable({ isHot, load }: PartitionLoad): number {
  return isHot ? 0 : Math.min(1, load);
}

function drainSecondsOf(
  lag: number,
  loads: readonly PartitionLoad[],
  rate: number | undefined,
  ready: number,
): number | undefined {
  if (lag === 0) return 0;
  const spare = (rate ?? 0) * ready - sum(loads.map(({ arrivalPerSecond }) => arrivalPerSecond));
  return spare <= 0 ? undefined : Math.round(lag / spare);
}

function explain(lag: number, loads: readonly PartitionLoad[], rate: number | undefined): string {
  const arrival = sum(loads.map(({ arrivalPerSecond }) => arrivalPerSecond));
  return `${lag} waiting, ${arrival.toFixed(1)}/s arrive, ${rate === undefined ? "?" : rate.toFixed(1)}/s per worker`;
}

function backlogOf({ committed, end }: PartitionLook): number {
  return Math.max(0, end - committed);
}

function find(look: GroupLook, key: string): PartitionLook | undefined {
  return look.partitions.find((partition) => partition.key === key);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
