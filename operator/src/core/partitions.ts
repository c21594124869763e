/**
 * Monthly range partitions, in UTC. A partition goes through these states, kept in its comment (`mark`), so that a run that is
 * killed anywhere is finished by the next one:
 *
 *   (none) ─create→ created ─attach→ attached ─begin→ detaching ─detach/finalize→ detaching, standalone ─stamp→ detached <at> ─drop→ (none)
 *
 * Only what carries a mark of ours is ever attached, detached or dropped. There is never a DEFAULT partition: it would forbid
 * DETACH CONCURRENTLY, and make every ATTACH scan it.
 */

export interface PartitionedTable {
  schema: string;
  name: string;
  /** The `timestamptz` column by which it is partitioned. */
  column: string;
}

export type PartitionMark =
  | { kind: "none" }
  | { kind: "created" }
  | { kind: "attached" }
  | { kind: "detaching" }
  | { kind: "detached"; atMs: number };

/** A table that is a partition, or whose name says that it is, was or will be one. */
export interface ObservedPartition {
  name: string;
  mark: PartitionMark;
  /** `pending`: a DETACH CONCURRENTLY was interrupted. */
  state: "attached" | "pending" | "standalone";
  /** Epoch ms, end exclusive. Absent when standalone or not a pair of times (MINVALUE …). */
  bounds?: { fromMs: number; toMs: number };
}

interface Retention {
  /** Full months kept before the current one; at least 1. */
  keepMonths: number;
  action: "detach" | "drop";
  /** Between detaching and dropping. */
  graceMs: number;
}

export interface PartitionSpec {
  /** Months ahead of the current one; at least 1. */
  premakeMonths: number;
  /** Without it, everything is kept. */
  retention?: Retention;
}

export type PartitionAction =
  | { kind: "finalize"; name: string }
  | { kind: "create"; name: string; fromMs: number; toMs: number }
  | { kind: "attach"; name: string; fromMs: number; toMs: number }
  | { kind: "detach"; name: string }
  | { kind: "stamp"; name: string; atMs: number }
  | { kind: "drop"; name: string };

/** What a person has to look at. */
export interface PartitionProblem {
  name: string;
  problem: "overlaps_month" | "name_taken";
}

export interface PartitionPlan {
  /** In the order in which they are applied: what writers need comes first. */
  actions: PartitionAction[];
  problems: PartitionProblem[];
  /** Up to here (epoch ms, exclusive) every row from now on has a partition already. Absent: not even one of now. */
  aheadUntilMs: number | undefined;
}

const dayMs = 86_400_000;
/** Postgres cuts longer identifiers in silence. */
const maxIdentifierBytes = 63;

/** The first moment of the month, `months` later (or earlier), in UTC. */
export function startOfMonth(atMs: number, months = 0): number {
  const at = new Date(atMs);
  return Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + months, 1);
}

/** `price_history_2026_11` for any moment of that month. */
export function partitionName(table: string, atMs: number): string {
  return `${table}_${new Date(atMs).toISOString().slice(0, 7).replace("-", "_")}`;
}

/** The month that a name of ours stands for; undefined for a foreign name. */
export function parsePartitionName(table: string, name: string): number | undefined {
  const match = name.startsWith(`${table}_`) ? /^(\d{4})_(0[1-9]|1[0-2])$/.exec(name.slice(table.length + 1)) : null;
  return match === null ? undefined : Date.UTC(Number(match[1]), Number(match[2]) - 1, 1);
}

/** @throws RangeError for settings that make no sense. */
function checkPartitionSpec(table: Pick<PartitionedTable, "name">, spec: PartitionSpec): void {
  if (!Number.isInteger(spec.premakeMonths) || spec.premakeMonths < 1 || spec.premakeMonths > 120) {
    throw new RangeError(`premakeMonths must be 1 to 120, not ${spec.premakeMonths}`);
  }
  const { retention } = spec;
  if (retention !== undefined && (!Number.isInteger(retention.keepMonths) || retention.keepMonths < 1)) {
    throw new RangeError(`retention.keepMonths must be at least 1, not ${retention.keepMonths}`);
  }
  if (retention !== undefined && !(retention.graceMs >= 0)) {
    throw new RangeError(`retention.graceMs must not be negative, not ${retention.graceMs}`);
  }
  if (table.name.length + "_2026_11".length > maxIdentifierBytes) {
    throw new RangeError(`the name ${table.name} is too long for its partitions`);
  }
}

/** The months that must be there. From a day ago, because the clocks of writers may lag behind ours. */
function wantedMonths(nowMs: number, premakeMonths: number): number[] {
  const months: number[] = [];
  const last = startOfMonth(nowMs, premakeMonths);
  for (let month = startOfMonth(nowMs - dayMs); month <= last; month = startOfMonth(month, 1)) {
    months.push(month);
  }
  return months;
}

function planMonth(
  monthMs: number,
  table: string,
  existing: readonly ObservedPartition[],
): { actions: PartitionAction[]; problems: PartitionProblem[] } {
  const name = partitionName(table, monthMs);
  const fromMs = monthMs;
  const toMs = startOfMonth(monthMs, 1);
  const overlapping = existing.filter(
    ({ state, bounds }) => state === "attached" && bounds !== undefined && bounds.fromMs < toMs && bounds.toMs > fromMs,
  );
  if (overlapping.some(({ bounds }) => bounds !== undefined && bounds.fromMs <= fromMs && bounds.toMs >= toMs)) {
    return { actions: [], problems: [] };
  }
  if (overlapping.length > 0) {
    // Foreign partitions that cover a part of the month (weeks, days): whoever made them has to fill it.
    const covered = coveredUntil(fromMs, existing) >= toMs;
    const problems = overlapping.map((each) => ({ name: each.name, problem: "overlaps_month" as const }));
    return { actions: [], problems: covered ? [] : problems };
  }
  const named = existing.find((each) => each.name === name);
  if (named === undefined) {
    return {
      actions: [
        { kind: "create", name, fromMs, toMs },
        { kind: "attach", name, fromMs, toMs },
      ],
      problems: [],
    };
  }
  if (named.state === "standalone" && named.mark.kind === "created") {
    return { actions: [{ kind: "attach", name, fromMs, toMs }], problems: [] };
  }
  return { actions: [], problems: [{ name, problem: "name_taken" }] };
}

/** How far attached partitions follow each other from a moment on. */
function coveredUntil(fromMs: number, existing: readonly ObservedPartition[]): number {
  const ranges = existing
    .flatMap(({ state, bounds }) => (state === "attached" && bounds !== undefined ? [bounds] : []))
    .sort((a, b) => a.fromMs - b.fromMs);
  let untilMs = fromMs;
  for (const range of ranges) {
    if (range.fromMs <= untilMs && range.toMs > untilMs) {
      untilMs = range.toMs;
    }
  }
  return untilMs;
}

function planRetention(
  nowMs: number,
  table: string,
  partition: ObservedPartition,
  retention: Retention,
): PartitionAction[] {
  const monthMs = parsePartitionName(table, partition.name);
  const { mark, state, bounds, name } = partition;
  if (monthMs === undefined || startOfMonth(monthMs, 1) > startOfMonth(nowMs, -retention.keepMonths)) {
    return [];
  }
  switch (state) {
    case "attached": {
      const ours = bounds?.fromMs === monthMs && bounds.toMs === startOfMonth(monthMs, 1);
      // `detaching` while attached: killed before DETACH took hold.
      return ours && (mark.kind === "attached" || mark.kind === "detaching")
        ? [
            { kind: "detach", name },
            { kind: "stamp", name, atMs: nowMs },
          ]
        : [];
    }
    case "pending":
      // The FINALIZE planned before leaves it standalone. What a person was detaching is not ours to drop.
      return mark.kind === "detaching" ? [{ kind: "stamp", name, atMs: nowMs }] : [];
    case "standalone":
      if (mark.kind === "detaching") {
        return [{ kind: "stamp", name, atMs: nowMs }];
      }
      return retention.action === "drop" && mark.kind === "detached" && nowMs >= mark.atMs + retention.graceMs
        ? [{ kind: "drop", name }]
        : [];
  }
}

/**
 * What to do now. Applying all actions and planning again (at the same `nowMs`) plans nothing, except drops whose grace is 0.
 * Months are never made in the past, and a gap there is left: no row is written into it.
 */
export function planPartitions(input: {
  nowMs: number;
  table: Pick<PartitionedTable, "name">;
  existing: readonly ObservedPartition[];
  spec: PartitionSpec;
}): PartitionPlan {
  const { nowMs, table, existing, spec } = input;
  checkPartitionSpec(table, spec);
  const { retention } = spec;
  const finalize = existing
    .filter(({ state }) => state === "pending")
    .map(({ name }): PartitionAction => ({ kind: "finalize", name }));
  const months = wantedMonths(nowMs, spec.premakeMonths).map((month) => planMonth(month, table.name, existing));
  const expired =
    retention === undefined
      ? []
      : existing
          .toSorted((a, b) => (a.name < b.name ? -1 : 1))
          .flatMap((partition) => planRetention(nowMs, table.name, partition, retention));
  const untilMs = coveredUntil(nowMs, existing);
  return {
    actions: [...months.flatMap(({ actions }) => actions), ...finalize, ...expired],
    problems: months.flatMap(({ problems }) => problems),
    aheadUntilMs: untilMs > nowMs ? untilMs : undefined,
  };
}
