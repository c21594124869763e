/**
 * What a consumer group's looks say of its load: how fast a worker is, how much each partition loads one, how many are needed.
 *
 * A worker's speed shows only while work queues for it: what it gets through at other times is what arrives. So a rate is learnt from
 * readers for whom there is work for `queueShare` of the drain target, at the speed that they show. Below that nobody is needed.
 */
import type { GroupLook, PartitionLook, ScaleState } from "./scale.ts";

export interface PartitionLoad {
  readonly member: string | undefined;
  /** In workers. */
  readonly load: number;
  readonly arrivalPerSecond: number;
  /** More arrives than one worker can do: no number of workers helps it. */
  readonly isHot: boolean;
}

export interface Rate {
  /** Messages a second that one busy worker gets through. */
  readonly perSecond: number;
  /** From a second alone: the next measurement counts instead of it. */
  readonly isRough: boolean;
}

type Looks = ScaleState["looks"];

const newRateWeight = 0.3;
const queueShare = 0.5;
/** Commits come in jumps of a fifth of a second and more. */
const leastSpanMs = 3_900;
const roughSpanMs = 900;
/** A worker that has just begun has not shown anything. */
const roughLeast = 10;

export function learnRate(known: Rate | undefined, looks: Looks, drainTargetMs: number): Rate | undefined {
  const last = looks.at(-1);
  if (last === undefined || last.ready === 0) return known;
  for (const [index, first] of looks.entries()) {
    const spanMs = last.atMs - first.atMs;
    if (spanMs < (known === undefined ? roughSpanMs : leastSpanMs)) break;
    const since = looks.slice(index);
    if (since.some(({ ready }) => ready !== last.ready)) continue;
    const busy = readersOf(since).filter((reader) => reader.done > 0 && isQueued(reader, spanMs, drainTargetMs));
    const done = sum(busy.map((reader) => reader.done));
    const isRough = spanMs < leastSpanMs;
    if (done === 0 || (isRough && done < roughLeast)) continue;
    const workers = busy.some(({ isMember }) => isMember) ? busy.length : Math.min(last.ready, busy.length);
    const perSecond = done / (spanMs / 1000) / workers;
    if (known === undefined || known.isRough) return { perSecond, isRough };
    return { perSecond: approach(known.perSecond, perSecond), isRough };
  }
  return atLeast(known, looks);
}

function approach(known: number, seen: number): number {
  return known + newRateWeight * (seen - known);
}

/** Without a queue a worker shows less than it could do, but it can do what it shows. */
function atLeast(known: Rate | undefined, looks: Looks): Rate | undefined {
  const [first, last] = [looks[0], looks.at(-1)];
  if (known === undefined || first === undefined || last === undefined || last.atMs - first.atMs < leastSpanMs)
    return known;
  if (looks.some(({ ready }) => ready !== last.ready)) return known;
  const done = sum(readersOf(looks).map((reader) => reader.done));
  const shown = (done * 1000) / (last.atMs - first.atMs) / last.ready;
  return shown > known.perSecond ? { ...known, perSecond: approach(known.perSecond, shown) } : known;
}

/** Whether work has begun to queue for anybody; also where nobody knows how fast it is done. */
export function hasQueue(looks: Looks, drainTargetMs: number): boolean {
  const [first, last] = [looks[0], looks.at(-1)];
  if (first === undefined || last === undefined) return false;
  const spanMs = last.atMs - first.atMs;
  return readersOf(looks).some(({ backlog, done }) => isQueued({ done, leastBacklog: backlog }, spanMs, drainTargetMs));
}

interface Reader {
  readonly isMember: boolean;
  readonly done: number;
  /** What waits for it now. */
  readonly backlog: number;
  /** The least that waited for it at any look. */
  readonly leastBacklog: number;
}

function readersOf(looks: Looks): readonly Reader[] {
  const [first, last] = [looks[0], looks.at(-1)];
  if (first === undefined || last === undefined) return [];
  const commands = last.partitions.filter(({ isRetry }) => isRetry !== true);
  const keysOf = Map.groupBy(commands, ({ key, member }) => member ?? key);
  return [...keysOf.values()].map((partitions) => ({
    isMember: partitions[0]?.member !== undefined,
    done: sum(partitions.map(({ key, committed }) => committed - (find(first, key)?.committed ?? committed))),
    backlog: sum(partitions.map(backlogOf)),
    leastBacklog: Math.min(...looks.map((look) => sum(partitions.map(({ key }) => backlogOf(find(look, key)))))),
  }));
}

function isQueued(
  { done, leastBacklog }: Pick<Reader, "done" | "leastBacklog">,
  spanMs: number,
  drainTargetMs: number,
): boolean {
  return leastBacklog > 0 && leastBacklog * spanMs >= done * drainTargetMs * queueShare;
}

/** Undefined while nothing says how fast a worker is, or how much arrives. */
export function loadsOf(
  looks: Looks,
  rate: Rate | undefined,
  drainTargetMs: number,
): readonly PartitionLoad[] | undefined {
  const [first, before, last] = [looks[0], looks.at(-2), looks.at(-1)];
  if (first === undefined || before === undefined || last === undefined) return undefined;
  if (last.atMs - first.atMs < roughSpanMs) return undefined;
  const perWorker = rate?.perSecond;
  const loads = last.partitions.map((partition) => {
    const { end, isRetry, key, member } = partition;
    const since = (look: Looks[number]) =>
      (Math.max(0, end - (find(look, key)?.end ?? end)) * 1000) / (last.atMs - look.atMs);
    // What came at once and no more of it comes is in the backlog, and not also what to expect.
    const arrivalPerSecond = Math.min(since(first), since(before));
    const perSecond = arrivalPerSecond + (isRetry === true ? 0 : backlogOf(partition) / (drainTargetMs / 1000));
    const isHot = arrivalPerSecond >= (perWorker ?? Number.POSITIVE_INFINITY);
    return { member, arrivalPerSecond, isHot, load: perSecond === 0 ? 0 : perSecond / (perWorker ?? Number.NaN) };
  });
  return loads.some(({ load }) => Number.isNaN(load)) ? undefined : loads;
}

export function needOf(loads: readonly PartitionLoad[], cap: number): number {
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
export function worstReal(loads: readonly PartitionLoad[], running: number): number {
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

export function drainSecondsOf(
  lag: number,
  loads: readonly PartitionLoad[],
  rate: Rate | undefined,
  ready: number,
): number | undefined {
  if (lag === 0) return 0;
  const spare = (rate?.perSecond ?? 0) * ready - sum(loads.map(({ arrivalPerSecond }) => arrivalPerSecond));
  return spare <= 0 ? undefined : Math.round(lag / spare);
}

export function explainLoad(lag: number, loads: readonly PartitionLoad[] | undefined, rate: Rate | undefined): string {
  const arrival = loads && sum(loads.map(({ arrivalPerSecond }) => arrivalPerSecond));
  const shown = (perSecond: number | undefined) => perSecond?.toFixed(1) ?? "?";
  return `${lag} waiting, ${shown(arrival)}/s arrive, ${shown(rate?.perSecond)}/s per worker`;
}

export function backlogOf(partition: PartitionLook | undefined): number {
  return partition === undefined ? 0 : Math.max(0, partition.end - partition.committed);
}

function find(look: GroupLook, key: string): PartitionLook | undefined {
  return look.partitions.find((partition) => partition.key === key);
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
