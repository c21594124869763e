import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type OwnPayment, type ReconcilePorts, reconcile, type Totals } from "./reconcile.ts";

type Record = { id: string; amountMinor: number; requestedAtMs: number };

function total(list: readonly { amountMinor: number; requestedAtMs: number }[], fromMs: number, toMs: number): Totals {
  const inside = list.filter(({ requestedAtMs }) => requestedAtMs >= fromMs && requestedAtMs <= toMs);
  return { payments: inside.length, amountMinor: inside.reduce((sum, one) => sum + one.amountMinor, 0) };
}

function makePorts(own: readonly OwnPayment[], records: readonly Record[]): ReconcilePorts & { lookups: number } {
  const settled = own.filter(({ state }) => state === "settled");
  const none: Totals = { payments: 0, amountMinor: 0 };
  const ports = {
    lookups: 0,
    ours: async (fromMs: number, toMs: number) => ({ default: total(settled, fromMs, toMs), fallback: none }),
    rows: async (fromMs: number, toMs: number) => ({ default: total(settled, fromMs, toMs), fallback: none }),
    theirs: async (processor: string, fromMs: number, toMs: number) =>
      processor === "default" ? total(records, fromMs, toMs) : none,
    list: async (processor: string, which: "settled" | "open", fromMs: number, toMs: number) =>
      own.filter(
        ({ requestedAtMs, state }) =>
          processor === "default" &&
          (state === "settled") === (which === "settled") &&
          requestedAtMs >= fromMs &&
          requestedAtMs <= toMs,
      ),
    find: async (_processor: string, id: string) => {
      ports.lookups += 1;
      const found = records.find((record) => record.id === id);
      return found && { amountMinor: found.amountMinor, requestedAt: new Date(found.requestedAtMs).toISOString() };
    },
  };
  return ports;
}

const own = Array.from({ length: 1000 }, (_value, index): OwnPayment => {
  return { id: `${index}`, source: "api", state: "settled", amountMinor: 100 + index, requestedAtMs: index * 10 };
});

describe("reconcile", () => {
  it("asks for no single payment where the summaries agree", async () => {
    const ports = makePorts(own, own);
    expect(await reconcile(ports, 0, 10_000)).toEqual([]);
    expect(ports.lookups).toBe(0);
  });

  it("finds the one that the processor lost, among few", async () => {
    const ports = makePorts(
      own,
      own.filter(({ id }) => id !== "777"),
    );
    expect(await reconcile(ports, 0, 10_000)).toMatchObject([{ kind: "not_at_processor", payment: { id: "777" } }]);
    expect(ports.lookups).toBeLessThanOrEqual(200);
  });

  it("explains every difference, and leaves no rest", async () => {
    const change = fc.constantFrom("lost", "amount", "time", "open", "none");
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 30 }), async (changes) => {
        const mine = changes.map(
          (kind, index): OwnPayment => ({
            id: `${index}`,
            source: "api",
            state: kind === "open" ? "unknown" : "settled",
            amountMinor: 100,
            requestedAtMs: index * 7,
          }),
        );
        const theirs = mine.flatMap((payment, index): Record[] => {
          if (changes[index] === "lost") return [];
          const amountMinor = changes[index] === "amount" ? 150 : 100;
          return [
            { ...payment, amountMinor, requestedAtMs: payment.requestedAtMs + (changes[index] === "time" ? 1 : 0) },
          ];
        });
        const found = await reconcile(makePorts(mine, theirs), 0, 10_000);
        const kinds = { lost: "not_at_processor", amount: "other_amount", open: "still_open" };
        for (const [kind, name] of Object.entries(kinds)) {
          expect(found.filter((one) => one.kind === name).length).toBe(changes.filter((one) => one === kind).length);
        }
        expect(found.filter(({ kind }) => kind === "unexplained")).toEqual([]);
      }),
    );
  });

  it("says how much is somebody else's", async () => {
    const ports = makePorts([], [{ id: "x", amountMinor: 5, requestedAtMs: 1 }]);
    expect(await reconcile(ports, 0, 10)).toEqual([
      { kind: "unexplained", processor: "default", fromMs: 0, toMs: 10, payments: 1, amountMinor: 5 },
    ]);
  });
});
