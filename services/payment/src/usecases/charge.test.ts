import { describe, expect, it } from "vitest";
import type { Outcome } from "../domain/outcome.ts";
import type { Payment } from "../domain/payment.ts";
import type { ProcessorName } from "../domain/processor.ts";
import { makeCharger } from "./charge.ts";
import { makeMemoryStore } from "./memory-store.ts";
import type { PaymentStore, Processors, Traffic } from "./ports.ts";

const makeTraffic = (tryRoute: Traffic["tryRoute"], more: Partial<Traffic> = {}): Traffic => ({
  acquire: async (max) => Array.from({ length: max }, () => ({ processor: "default" as const, probe: false })),
  tryRoute,
  tryAt: (processor) => ({ processor, probe: false }),
  answered: () => undefined,
  giveBack: () => undefined,
  ...more,
});
const clock = { nowMs: () => 1_000, monotonicMs: () => 0, sleep: () => Promise.resolve() };
const charge = {
  source: "order",
  id: "4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3",
  partition: 0,
  amountMinor: 2005,
  orderId: "order",
  deadlineMs: null,
  acceptedAtMs: 0,
} as const;

function open(processors: Processors, more: (store: PaymentStore) => Partial<PaymentStore> = () => ({})) {
  const store = makeMemoryStore();
  const { signal } = new AbortController();
  const route: { isOpen: boolean } = { isOpen: true };
  const traffic = makeTraffic(() => (route.isOpen ? { processor: "default", probe: false } : undefined));
  const charger = makeCharger({
    owner: "a",
    store: { ...store, ...more(store) },
    processors,
    traffic,
    clock,
    signal,
  });
  return { store, charger, signal, route };
}

const rowOf = (rows: Payment[]): Payment | undefined => rows[0];

describe("the sweep", () => {
  it("does not take for an orphan what it sent again itself since it looked", async () => {
    const answers: ((outcome: Outcome) => void)[] = [];
    const pay = (): Promise<Outcome> => new Promise((resolve) => answers.push(resolve));
    // What the sweep read before the first answer came.
    let seen: Payment[] | undefined;
    const sentAgain = Promise.withResolvers<void>();
    const { store, charger, signal, route } = open({ pay, refund: async () => "done" }, (real) => ({
      findOpen: async (partitions, states, limit) =>
        states.includes("sending") && seen !== undefined ? seen : real.findOpen(partitions, states, limit),
      apply: async (writes) => {
        const results = await real.apply(writes);
        if (writes.some(({ change }) => change.after.attempts === 2) && results[0] === "applied") sentAgain.resolve();
        return results;
      },
      // Slower than the second send.
      find: async (key) => {
        await sentAgain.promise;
        return real.find(key);
      },
    }));
    await charger.takeIn(0, [charge], signal);
    seen = store.rows();
    route.isOpen = false;
    answers.shift()?.({ kind: "refused", reason: "500", overloaded: false });
    await charger.idle();
    expect(rowOf(store.rows())?.state).toBe("waiting");
    route.isOpen = true;
    await charger.sweep();
    expect(answers).toHaveLength(1);
    expect(rowOf(store.rows())).toMatchObject({ state: "sending", pinned: false, attempts: 2 });
  });

  it("asks again at one processor, however much waits for the other one, which is down", async () => {
    const store = makeMemoryStore();
    const { signal } = new AbortController();
    let route: ProcessorName = "default";
    let answers: Outcome = { kind: "unknown", reason: "timeout" };
    const charger = makeCharger({
      owner: "a",
      store,
      processors: { pay: async () => answers, refund: async () => "done" },
      traffic: makeTraffic(() => undefined, {
        acquire: async (max) => Array.from({ length: max }, () => ({ processor: route, probe: false })),
        tryAt: (processor) => (processor === "default" ? undefined : { processor, probe: false }),
      }),
      clock,
      signal,
      sweepLimit: 3,
    });
    await charger.takeIn(
      0,
      Array.from({ length: 4 }, (_, index) => ({ ...charge, id: `default-${index}` })),
      signal,
    );
    route = "fallback";
    await charger.takeIn(0, [{ ...charge, id: "fallback" }], signal);
    await charger.idle();
    expect(store.rows().map(({ state }) => state)).toEqual(Array.from({ length: 5 }, () => "unknown"));
    answers = { kind: "recorded", already: true };
    await charger.sweep();
    await charger.idle();
    expect(store.rows().filter(({ state }) => state === "settled")).toMatchObject([{ id: "fallback" }]);
  });

  it("goes on while a refund hangs", async () => {
    const { store, charger, signal } = open({
      pay: async () => ({ kind: "recorded", already: false }),
      refund: () => new Promise(() => undefined),
    });
    await charger.takeIn(0, [charge], signal);
    await charger.idle();
    const settled = rowOf(store.rows());
    if (settled === undefined) throw new Error("nothing was charged");
    await store.control(settled, () => ({
      change: { after: { ...settled, refund: "requested", version: settled.version + 1 }, events: [] },
      insert: false,
    }));
    void charger.sweepRefunds();
    const other = { ...charge, id: "another" };
    await charger.takeIn(0, [other], signal);
    await charger.sweep();
    await charger.idle();
    expect(store.rows().map(({ state }) => state)).toEqual(["settled", "settled"]);
  });
});

it("sends each payment of a batch under the trace of its own message", async () => {
  const seen = new Map<string, unknown>();
  const { charger, signal } = open({
    pay: async (_processor, { id, trace }) => {
      seen.set(id, trace);
      return { kind: "recorded", already: false };
    },
    refund: async () => "done",
  });
  const other = { ...charge, id: "0f0a3e3c-9d1f-4d45-8e0b-0d8f6ab8c0d1" };
  const traceOf = (digit: string) => ({ traceparent: `00-${digit.repeat(32)}-${digit.repeat(16)}-01` });
  await charger.takeIn(
    0,
    [
      { ...charge, trace: traceOf("a") },
      { ...other, trace: traceOf("b") },
    ],
    signal,
  );
  await charger.idle();
  expect(seen).toEqual(
    new Map([
      [charge.id, traceOf("a")],
      [other.id, traceOf("b")],
    ]),
  );
});
