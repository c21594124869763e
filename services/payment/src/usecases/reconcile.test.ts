import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { otherProcessor, type ProcessorName } from "../domain/processor.ts";
import { type OtherPayment, type ReconcilePorts, type TimeWindow, type Totals, toleranceMs } from "./difference.ts";
import { maxAsked } from "./explain.ts";
import { reconcile } from "./reconcile.ts";

type Row = OtherPayment & { amountMinor: number; acceptedAtMs: number; requestedAtMs: number | null };
type Timed = { amountMinor: number; requestedAtMs: number };
type Record = Timed & { id: string };
type Records = { [Name in ProcessorName]?: readonly Record[] };

function total(list: readonly Timed[], fromMs: number, toMs: number): Totals {
  const inside = list.filter(({ requestedAtMs }) => requestedAtMs >= fromMs && requestedAtMs <= toMs);
  return { payments: inside.length, amountMinor: inside.reduce((sum, one) => sum + one.amountMinor, 0) };
}

/** `moved`: what becomes of a row while it is looked at. */
function makePorts(rows: readonly Row[], records: Records, moved: ReadonlyMap<string, OtherPayment> = new Map()) {
  const at = (processor: ProcessorName, which: "settled" | "open"): (Row & Timed)[] => {
    const sent = rows.filter((row): row is Row & Timed => row.requestedAtMs !== null && row.processor === processor);
    return sent.filter(({ state }) => (state === "settled") === (which === "settled"));
  };
  const settled = async (fromMs: number, toMs: number) => ({
    default: total(at("default", "settled"), fromMs, toMs),
    fallback: total(at("fallback", "settled"), fromMs, toMs),
  });
  const isWithin = (atMs: number, { fromMs, toMs }: TimeWindow) => atMs >= fromMs && atMs <= toMs;
  const lookups: string[] = [];
  const failures: string[] = [];
  const ports: ReconcilePorts = {
    onSearchFailed: (processor, error) => void failures.push(`${processor}: ${error}`),
    ours: settled,
    rows: settled,
    theirs: async (processor, fromMs, toMs) => total(records[processor] ?? [], fromMs, toMs),
    list: async (processor, which, fromMs, toMs) =>
      at(processor, which).filter(({ requestedAtMs }) => isWithin(requestedAtMs, { fromMs, toMs })),
    listElsewhere: async (processor, window, limit) => {
      const middleMs = (window.fromMs + window.toMs) / 2;
      return at(otherProcessor(processor), "settled")
        .filter(({ requestedAtMs }) => isWithin(requestedAtMs, window))
        .sort((a, b) => Math.abs(a.requestedAtMs - middleMs) - Math.abs(b.requestedAtMs - middleMs))
        .slice(0, limit);
    },
    listUnderWay: async (processor, windows, limit) =>
      rows
        .filter((row) => {
          const endMs = row.requestedAtMs ?? Number.POSITIVE_INFINITY;
          const isWanted = row.state !== "settled" || endMs - row.acceptedAtMs > toleranceMs;
          const wasUnderWay = windows.some(({ fromMs, toMs }) => row.acceptedAtMs <= toMs && endMs >= fromMs);
          return row.processor !== processor && isWanted && wasUnderWay;
        })
        .slice(0, limit),
    read: async (payment) => moved.get(payment.id) ?? rows.find(({ id }) => id === payment.id),
    find: async (processor, id) => {
      lookups.push(`${processor} ${id}`);
      const found = records[processor]?.find((record) => record.id === id);
      return found && { amountMinor: found.amountMinor, requestedAt: new Date(found.requestedAtMs).toISOString() };
    },
  };
  return { ...ports, lookups, failures };
}

function makeRow(id: string, changed: Partial<Row> = {}): Row {
  const requestedAtMs = changed.requestedAtMs === undefined ? 0 : changed.requestedAtMs;
  const acceptedAtMs = requestedAtMs ?? 0;
  return {
    id,
    source: "api",
    state: "settled",
    processor: "default",
    amountMinor: 100,
    acceptedAtMs,
    requestedAtMs,
    ...changed,
  };
}

function makeRows(count: number, processor: ProcessorName, prefix = "", stepMs = 10): (Row & Timed)[] {
  return Array.from({ length: count }, (_value, index) => {
    const timed = { amountMinor: 100 + index, requestedAtMs: index * stepMs };
    return { ...makeRow(`${prefix}${index}`, { processor, ...timed }), ...timed };
  });
}

const own = makeRows(1000, "default");
const never = { processor: null, requestedAtMs: null, acceptedAtMs: 0 };

describe("reconcile", () => {
  it("asks for no single payment where the summaries agree", async () => {
    const ports = makePorts(own, { default: own });
    expect(await reconcile(ports, 0, 10_000)).toEqual([]);
    expect(ports.lookups).toEqual([]);
  });

  it("finds the one that the processor lost, among few", async () => {
    const ports = makePorts(own, { default: own.filter(({ id }) => id !== "777") });
    expect(await reconcile(ports, 0, 10_000)).toMatchObject([{ kind: "not_at_processor", payment: { id: "777" } }]);
    expect(ports.lookups.length).toBeLessThanOrEqual(200);
  });

  it("explains every difference, and leaves no rest", async () => {
    const change = fc.constantFrom("lost", "amount", "time", "open", "none");
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 30 }), async (changes) => {
        const mine = changes.map((kind, index) => ({
          ...makeRow(`${index}`, { state: kind === "open" ? "unknown" : "settled" }),
          requestedAtMs: index * 7,
        }));
        const theirs = mine.flatMap((payment, index): Record[] => {
          if (changes[index] === "lost") return [];
          const amountMinor = changes[index] === "amount" ? 150 : 100;
          return [
            { ...payment, amountMinor, requestedAtMs: payment.requestedAtMs + (changes[index] === "time" ? 1 : 0) },
          ];
        });
        const found = await reconcile(makePorts(mine, { default: theirs }), 0, 10_000);
        const kinds = { lost: "not_at_processor", amount: "other_amount", open: "still_open" };
        for (const [kind, name] of Object.entries(kinds)) {
          expect(found.filter((one) => one.kind === name).length).toBe(changes.filter((one) => one === kind).length);
        }
        expect(found.filter(({ kind }) => kind === "unexplained")).toEqual([]);
      }),
    );
  });

  it("says how much is somebody else's", async () => {
    const ports = makePorts([], { default: [{ id: "x", amountMinor: 5, requestedAtMs: 1 }] });
    expect(await reconcile(ports, 0, 10)).toEqual([
      { kind: "unexplained", processor: "default", fromMs: 0, toMs: 10, payments: 1, amountMinor: 5 },
    ]);
  });

  it("counts what was recorded at another time once, wherever the window was halved", async () => {
    const theirs = own.map((row) => (row.id === "7" ? { ...row, amountMinor: 1, requestedAtMs: 9000 } : row));
    const found = await reconcile(makePorts(own, { default: theirs }), 0, 10_000);
    expect(found.map(({ kind }) => kind).sort()).toEqual(["other_amount", "other_time"]);
  });
});

describe("what a processor has more than our rows there", () => {
  it("is a payment that was settled at the other one: charged twice", async () => {
    const row = makeRow("a", { processor: "default", requestedAtMs: 5 });
    const record = { id: "a", amountMinor: 100, requestedAtMs: 5 };
    const twice = makePorts([row], { default: [record], fallback: [{ ...record, amountMinor: 90, requestedAtMs: 7 }] });
    expect(await reconcile(twice, 0, 10)).toEqual([
      { kind: "also_at", processor: "fallback", payment: row, amountMinor: 90 },
    ]);
    const instead = makePorts([row], { fallback: [record] });
    expect(await reconcile(instead, 0, 10)).toMatchObject([
      { kind: "not_at_processor", processor: "default" },
      { kind: "against_row", processor: "fallback", payment: { id: "a", state: "settled" }, amountMinor: 100 },
    ]);
  });

  it.each([
    ["was cancelled", { ...never, state: "cancelled" }],
    ["has expired", { ...never, state: "expired" }],
    ["waits", { ...never, state: "waiting" }],
    ["is being sent to the other one", { state: "sending", processor: "fallback", requestedAtMs: 5 }],
    ["is pinned to the other one", { state: "unknown", processor: "fallback", requestedAtMs: 5 }],
  ] as const)("is a payment that %s by its row", async (_what, changed) => {
    const row = makeRow("a", changed);
    const ports = makePorts([row], { default: [{ id: "a", amountMinor: 70, requestedAtMs: 5 }] });
    expect(await reconcile(ports, 0, 10)).toEqual([
      { kind: "against_row", processor: "default", payment: row, amountMinor: 70 },
    ]);
  });

  it("is looked for as far as clocks may differ, and as long as a payment was under way", async () => {
    const record = { id: "a", amountMinor: 100, requestedAtMs: 100_000 };
    const reconcileWith = (row: Row & Timed) =>
      reconcile(makePorts([row], { default: [record], fallback: [row] }), 99_990, 100_010);
    const makeSettled = (acceptedAtMs: number, requestedAtMs: number) => ({
      ...makeRow("a", { processor: "fallback", acceptedAtMs }),
      requestedAtMs,
    });
    const nearMs = 100_010 + toleranceMs;
    for (const row of [makeSettled(nearMs, nearMs), makeSettled(nearMs, 10_000_000)]) {
      expect(await reconcileWith(row)).toEqual([
        { kind: "also_at", processor: "default", payment: row, amountMinor: 100 },
      ]);
    }
    for (const row of [makeSettled(nearMs + 1, nearMs + 1), makeSettled(nearMs + 1, 10_000_000)]) {
      expect(await reconcileWith(row)).toMatchObject([{ kind: "unexplained", processor: "default", payments: 1 }]);
    }
  });

  it("is found among many with few questions, one id at a time", async () => {
    const others = makeRows(5000, "fallback", "f", 2);
    const stray = makeRow("stray", { ...never, state: "cancelled" });
    const ports = makePorts([...own, ...others, stray], {
      default: [
        ...own,
        ...others.filter(({ id }) => id === "f777" || id === "f4000"),
        { ...stray, requestedAtMs: 8001 },
      ],
      fallback: others,
    });
    const found = await reconcile(ports, 0, 10_000);
    expect(found.map((one) => [one.kind, one.processor, "payment" in one && one.payment.id])).toEqual([
      ["also_at", "default", "f777"],
      ["also_at", "default", "f4000"],
      ["against_row", "default", "stray"],
    ]);
    expect(new Set(ports.lookups).size).toBe(ports.lookups.length);
    expect(ports.lookups.length).toBeLessThan(700);
  });

  it("is asked for until it is explained, and no longer", async () => {
    const others = makeRows(50, "fallback", "f");
    const ports = makePorts(others, { default: others.slice(24, 25), fallback: others });
    expect(await reconcile(ports, 0, 490)).toMatchObject([{ kind: "also_at", payment: { id: "f24" } }]);
    expect(ports.lookups.length).toBeLessThan(5);
  });

  it("is somebody else's when nothing of ours is it, after a bounded number of questions", async () => {
    const open = Array.from({ length: 5000 }, (_value, index) => makeRow(`o${index}`, { ...never, state: "waiting" }));
    const others = makeRows(1000, "fallback", "f", 0);
    const ports = makePorts([...open, ...others], {
      default: [{ id: "x", amountMinor: 5, requestedAtMs: 0 }],
      fallback: others,
    });
    expect(await reconcile(ports, 0, 10)).toEqual([
      { kind: "unexplained", processor: "default", fromMs: 0, toMs: 0, payments: 1, amountMinor: 5 },
    ]);
    expect(ports.lookups.length).toBe(2200);
  });

  it("keeps to its number of questions over many windows", async () => {
    // One too many in each of 40 windows, in which the other processor has 200.
    const others = makeRows(8_000, "fallback", "f", 1);
    const foreign = Array.from({ length: 40 }, (_value, index) => ({
      id: `x${index}`,
      amountMinor: 5,
      requestedAtMs: index * 200,
    }));
    const ports = makePorts(others, { default: foreign, fallback: others });
    const found = await reconcile(ports, 0, 8_191);
    expect(found.reduce((sum, one) => sum + (one.kind === "unexplained" ? one.payments : 0), 0)).toBe(40);
    expect(ports.lookups.length).toBe(maxAsked);
  });

  it("leaves what was found as it is when the search does not end", async () => {
    const ports = {
      ...makePorts([makeRow("a")], { default: [{ id: "x", amountMinor: 5, requestedAtMs: 3 }] }),
      listUnderWay: () => Promise.reject(new Error("too slow")),
    };
    expect(await reconcile(ports, 0, 10)).toMatchObject([
      { kind: "not_at_processor", payment: { id: "a" } },
      { kind: "unexplained", payments: 1 },
    ]);
    expect(ports.failures).toEqual(["default: Error: too slow"]);
  });

  it("is not what was sent there in the meantime", async () => {
    const row = makeRow("a", { ...never, state: "waiting" });
    const moved = makeRow("a", { state: "settled", processor: "default", requestedAtMs: 9 });
    const ports = makePorts(
      [row],
      { default: [{ id: "a", amountMinor: 100, requestedAtMs: 9 }] },
      new Map([["a", moved]]),
    );
    expect(await reconcile(ports, 0, 10)).toMatchObject([{ kind: "unexplained", payments: 1 }]);
  });

  it("is named in full, and each once, whatever else differs", async () => {
    const kinds = ["twice", "cancelled", "pinned", "lost", "strange", "none"] as const;
    const kind = fc.constantFrom(...kinds);
    await fc.assert(
      fc.asyncProperty(fc.array(kind, { minLength: 1, maxLength: 40 }), fc.nat(2000), async (list, stepMs) => {
        const rows: Row[] = [];
        const records = { default: [] as Record[], fallback: [] as Record[] };
        for (const [index, what] of list.entries()) {
          const record = { id: `${index}`, amountMinor: 2 ** index, requestedAtMs: index * stepMs };
          if (what !== "lost") records.default.push(record);
          if (what === "twice") records.fallback.push(record);
          if (what === "cancelled") rows.push(makeRow(record.id, { ...never, state: "cancelled" }));
          if (what === "twice" || what === "pinned") {
            rows.push(
              makeRow(record.id, { ...record, processor: "fallback", state: what === "twice" ? "settled" : "unknown" }),
            );
          }
          if (what === "lost" || what === "none") rows.push(makeRow(record.id, record));
        }
        const found = await reconcile(makePorts(rows, records), 0, 100_000);
        const named = found.flatMap((one) => ("payment" in one ? [`${one.kind} ${one.payment.id}`] : []));
        const names = { twice: "also_at", cancelled: "against_row", pinned: "against_row", lost: "not_at_processor" };
        const expected = list.flatMap((what, index) =>
          what in names ? [`${names[what as keyof typeof names]} ${index}`] : [],
        );
        expect(named.sort()).toEqual(expected.sort());
        const rest = found.reduce((sum, one) => sum + (one.kind === "unexplained" ? one.payments : 0), 0);
        expect(rest).toBe(list.filter((what) => what === "strange").length);
      }),
    );
  });
});
