import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type ObservedPartition,
  type PartitionAction,
  type PartitionMark,
  type PartitionSpec,
  parsePartitionName,
  partitionName,
  planPartitions,
  startOfMonth,
} from "./partitions.ts";

const table = { name: "price_history" };
const nowMs = Date.UTC(2026, 10, 20, 14);
const graceMs = 86_400_000;
const spec: PartitionSpec = { premakeMonths: 1 };

function month(year: number, number: number): { fromMs: number; toMs: number; name: string } {
  const fromMs = Date.UTC(year, number - 1, 1);
  return { fromMs, toMs: startOfMonth(fromMs, 1), name: partitionName(table.name, fromMs) };
}

function attached(year: number, number: number, mark: PartitionMark = { kind: "attached" }): ObservedPartition {
  const { name, fromMs, toMs } = month(year, number);
  return { name, mark, state: "attached", bounds: { fromMs, toMs } };
}

function standalone(year: number, number: number, mark: PartitionMark): ObservedPartition {
  return { name: month(year, number).name, mark, state: "standalone" };
}

/** What the database looks like after the actions, by the same rules as the adapter. */
function apply(existing: readonly ObservedPartition[], actions: readonly PartitionAction[]): ObservedPartition[] {
  const world = new Map(existing.map((each) => [each.name, each]));
  for (const action of actions) {
    const found = world.get(action.name);
    const { name } = action;
    switch (action.kind) {
      case "create":
        world.set(name, { name, mark: { kind: "created" }, state: "standalone" });
        break;
      case "attach":
        world.set(name, {
          name,
          mark: { kind: "attached" },
          state: "attached",
          bounds: { fromMs: action.fromMs, toMs: action.toMs },
        });
        break;
      case "detach":
      case "finalize":
        world.set(name, {
          name,
          mark: action.kind === "detach" ? { kind: "detaching" } : (found?.mark ?? { kind: "none" }),
          state: "standalone",
        });
        break;
      case "stamp":
        world.set(name, { name, mark: { kind: "detached", atMs: action.atMs }, state: "standalone" });
        break;
      case "drop":
        world.delete(name);
        break;
    }
  }
  return [...world.values()];
}

const kinds = (actions: readonly PartitionAction[]): string[] => actions.map(({ kind, name }) => `${kind} ${name}`);

describe("planPartitions", () => {
  it.each<{ what: string; existing: ObservedPartition[]; at?: number; spec?: PartitionSpec; expected: string[] }>([
    {
      what: "makes this month and the next ones, nearest first",
      existing: [],
      expected: [
        "create price_history_2026_11",
        "attach price_history_2026_11",
        "create price_history_2026_12",
        "attach price_history_2026_12",
      ],
    },
    {
      what: "crosses the year",
      existing: [attached(2026, 12)],
      at: Date.UTC(2026, 11, 31, 23, 59),
      expected: ["create price_history_2027_01", "attach price_history_2027_01"],
    },
    {
      what: "keeps last month on the first day, for writers whose clocks lag",
      existing: [attached(2026, 11), attached(2026, 12)],
      at: Date.UTC(2026, 10, 1, 0, 0, 1),
      expected: ["create price_history_2026_10", "attach price_history_2026_10"],
    },
    {
      what: "attaches what was created and no more",
      existing: [attached(2026, 11), standalone(2026, 12, { kind: "created" })],
      expected: ["attach price_history_2026_12"],
    },
    {
      what: "fills a gap ahead",
      existing: [attached(2026, 11), attached(2027, 1)],
      expected: ["create price_history_2026_12", "attach price_history_2026_12"],
    },
    {
      what: "leaves gaps in the past",
      existing: [attached(2026, 2), attached(2026, 11), attached(2026, 12)],
      expected: [],
    },
    {
      what: "detaches what is wholly older than the months kept",
      existing: [attached(2026, 8), attached(2026, 9), attached(2026, 10), attached(2026, 11), attached(2026, 12)],
      spec: { premakeMonths: 1, retention: { keepMonths: 2, action: "drop", graceMs } },
      expected: ["detach price_history_2026_08", "stamp price_history_2026_08"],
    },
    {
      what: "finalizes an interrupted detach after making what writers need",
      existing: [{ ...attached(2026, 1, { kind: "detaching" }), state: "pending" }, attached(2026, 11)],
      spec: { premakeMonths: 1, retention: { keepMonths: 2, action: "drop", graceMs } },
      expected: [
        "create price_history_2026_12",
        "attach price_history_2026_12",
        "finalize price_history_2026_01",
        "stamp price_history_2026_01",
      ],
    },
    {
      what: "stamps what a killed run had detached",
      existing: [standalone(2026, 1, { kind: "detaching" }), attached(2026, 11), attached(2026, 12)],
      spec: { premakeMonths: 1, retention: { keepMonths: 2, action: "detach", graceMs } },
      expected: ["stamp price_history_2026_01"],
    },
    {
      what: "drops after the grace period, not before",
      existing: [
        standalone(2026, 1, { kind: "detached", atMs: nowMs - graceMs }),
        standalone(2026, 2, { kind: "detached", atMs: nowMs - graceMs + 1 }),
        attached(2026, 11),
        attached(2026, 12),
      ],
      spec: { premakeMonths: 1, retention: { keepMonths: 2, action: "drop", graceMs } },
      expected: ["drop price_history_2026_01"],
    },
    {
      what: "never drops with action detach",
      existing: [standalone(2026, 1, { kind: "detached", atMs: 0 }), attached(2026, 11), attached(2026, 12)],
      spec: { premakeMonths: 1, retention: { keepMonths: 2, action: "detach", graceMs: 0 } },
      expected: [],
    },
    {
      what: "leaves alone what a person detached, and foreign names and marks",
      existing: [
        standalone(2025, 1, { kind: "attached" }),
        standalone(2025, 2, { kind: "none" }),
        attached(2025, 3, { kind: "none" }),
        {
          name: "price_history_archive",
          mark: { kind: "none" },
          state: "attached",
          bounds: { fromMs: 0, toMs: Date.UTC(2024, 0, 1) },
        },
        { name: "price_history_2025_13", mark: { kind: "attached" }, state: "attached" },
        attached(2026, 11),
        attached(2026, 12),
      ],
      spec: { premakeMonths: 1, retention: { keepMonths: 1, action: "drop", graceMs: 0 } },
      expected: [],
    },
  ])("$what", ({ existing, at, spec: own, expected }) => {
    expect(kinds(planPartitions({ nowMs: at ?? nowMs, table, existing, spec: own ?? spec }).actions)).toEqual(expected);
  });

  it("counts a foreign partition that covers the month, and reports one that covers half of it", () => {
    const { fromMs, toMs } = month(2026, 12);
    const half: ObservedPartition = {
      name: "first_half",
      mark: { kind: "none" },
      state: "attached",
      bounds: { fromMs, toMs: fromMs + 14 * 86_400_000 },
    };
    const rest: ObservedPartition = { ...half, name: "rest", bounds: { fromMs: fromMs + 14 * 86_400_000, toMs } };
    const plan = planPartitions({ nowMs, table, existing: [attached(2026, 11), half], spec });
    expect(plan).toEqual({
      actions: [],
      problems: [{ name: "first_half", problem: "overlaps_month" }],
      aheadUntilMs: fromMs + 14 * 86_400_000,
    });
    expect(planPartitions({ nowMs, table, existing: [rest, attached(2026, 11), half], spec })).toEqual({
      actions: [],
      problems: [],
      aheadUntilMs: toMs,
    });
  });

  it("reports a table in the way", () => {
    const existing = [attached(2026, 11), standalone(2026, 12, { kind: "none" })];
    expect(planPartitions({ nowMs, table, existing, spec })).toEqual({
      actions: [],
      problems: [{ name: "price_history_2026_12", problem: "name_taken" }],
      aheadUntilMs: month(2026, 11).toMs,
    });
  });

  it.each<PartitionSpec>([
    { premakeMonths: 0 },
    { premakeMonths: 1.5 },
    { premakeMonths: 1, retention: { keepMonths: 0, action: "drop", graceMs: 0 } },
    { premakeMonths: 1, retention: { keepMonths: 1, action: "drop", graceMs: -1 } },
  ])("refuses %j", (bad) => {
    expect(() => planPartitions({ nowMs, table, existing: [], spec: bad })).toThrow(RangeError);
  });
});

const moments = fc.integer({ min: Date.UTC(1980, 0, 1), max: Date.UTC(2900, 0, 1) });
const specs = fc.record(
  {
    premakeMonths: fc.integer({ min: 1, max: 24 }),
    retention: fc.record({
      keepMonths: fc.integer({ min: 1, max: 36 }),
      action: fc.constantFrom("detach" as const, "drop" as const),
      graceMs: fc.integer({ min: 1, max: 40 * 86_400_000 }),
    }),
  },
  { requiredKeys: ["premakeMonths"] },
);

/** Any mess around `atMs`: months in any state with any mark. */
function messes(atMs: number): fc.Arbitrary<ObservedPartition[]> {
  const mark = fc.oneof(
    fc.constantFrom<PartitionMark>({ kind: "none" }, { kind: "created" }, { kind: "attached" }, { kind: "detaching" }),
    fc
      .integer({ min: 0, max: 60 * 86_400_000 })
      .map((agoMs): PartitionMark => ({ kind: "detached", atMs: atMs - agoMs })),
  );
  const one = fc
    .record({
      offset: fc.integer({ min: -48, max: 12 }),
      mark,
      state: fc.constantFrom("attached" as const, "standalone" as const, "pending" as const),
    })
    .map(({ offset, mark, state }): ObservedPartition => {
      const fromMs = startOfMonth(atMs, offset);
      const bounds = { fromMs, toMs: startOfMonth(fromMs, 1) };
      // A detach that was interrupted is of a partition that was attached.
      const fitting: PartitionMark =
        state === "pending" && (mark.kind === "detached" || mark.kind === "created") ? { kind: "detaching" } : mark;
      return {
        name: partitionName(table.name, fromMs),
        mark: fitting,
        state,
        ...(state !== "standalone" && { bounds }),
      };
    });
  return fc.uniqueArray(one, { selector: ({ name }) => name, maxLength: 30 });
}

const situations = fc
  .record({ atMs: moments, spec: specs })
  .chain(({ atMs, spec }) => messes(atMs).map((existing) => ({ atMs, spec, existing })));

describe("for any mess", () => {
  it("is finished by one run, and by runs killed after any action", () => {
    fc.assert(
      fc.property(situations, fc.array(fc.nat({ max: 10 }), { maxLength: 5 }), ({ atMs, spec, existing }, kills) => {
        const plan = (world: readonly ObservedPartition[]) =>
          planPartitions({ nowMs: atMs, table, existing: world, spec });
        let killed = existing;
        for (const survived of kills) {
          killed = apply(killed, plan(killed).actions.slice(0, survived));
        }
        const after = apply(killed, plan(killed).actions);
        expect(plan(after).actions).toEqual([]);
        const sorted = (world: ObservedPartition[]) => world.toSorted((a, b) => (a.name < b.name ? -1 : 1));
        expect(sorted(after)).toEqual(sorted(apply(existing, plan(existing).actions)));
      }),
    );
  });

  it("covers every month ahead unless it reports why not", () => {
    fc.assert(
      fc.property(situations, ({ atMs, spec, existing }) => {
        const first = planPartitions({ nowMs: atMs, table, existing, spec });
        const after = planPartitions({ nowMs: atMs, table, existing: apply(existing, first.actions), spec });
        if (first.problems.length === 0) {
          expect(after.aheadUntilMs).toBeGreaterThanOrEqual(startOfMonth(atMs, spec.premakeMonths + 1));
        }
      }),
    );
  });

  it("never touches a month that is kept, and never drops before the grace period", () => {
    fc.assert(
      fc.property(situations, ({ atMs, spec, existing }) => {
        for (const action of planPartitions({ nowMs: atMs, table, existing, spec }).actions) {
          if (action.kind === "detach" || action.kind === "drop") {
            const fromMs = parsePartitionName(table.name, action.name) ?? Number.POSITIVE_INFINITY;
            expect(startOfMonth(fromMs, 1)).toBeLessThanOrEqual(startOfMonth(atMs, -(spec.retention?.keepMonths ?? 0)));
          }
          if (action.kind === "drop") {
            const mark = existing.find(({ name }) => name === action.name)?.mark;
            expect(mark?.kind === "detached" && atMs - mark.atMs >= (spec.retention?.graceMs ?? 0)).toBe(true);
          }
        }
      }),
    );
  });

  it("names months so that they are read back", () => {
    fc.assert(
      fc.property(moments, (atMs) => {
        expect(parsePartitionName(table.name, partitionName(table.name, atMs))).toBe(startOfMonth(atMs));
      }),
    );
  });
});
