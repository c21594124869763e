import { AppError } from "@pricing-engine/chassis/errors";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Outcome } from "../domain/outcome.ts";
import { keyText, type Payment } from "../domain/payment.ts";
import type { ProcessorName } from "../domain/processor.ts";
import { granularityMs } from "../domain/window.ts";
import { type Charge, type Charger, makeCharger } from "./charge.ts";
import { makeControlPayment } from "./control.ts";
import { makeMemoryStore } from "./memory-store.ts";
import type { PaymentStore, Processors, Slot, Traffic } from "./ports.ts";

/** Mulberry32: a run is its seed. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Plan = {
  seed: number;
  /** Amount of each charge; those of orders may be ended. */
  charges: { amountMinor: number; order: boolean; control: "none" | "cancel" | "expire" | "refund"; late: boolean }[];
  partitions: number;
  /** Steps at which something of the world goes wrong. */
  steps: number;
  faultShare: number;
};

const plans: fc.Arbitrary<Plan> = fc.record({
  seed: fc.integer(),
  charges: fc.array(
    fc.record({
      amountMinor: fc.integer({ min: 1, max: 5000 }),
      order: fc.boolean(),
      control: fc.constantFrom("none", "none", "cancel", "expire", "refund"),
      late: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  ),
  partitions: fc.integer({ min: 1, max: 2 }),
  steps: fc.integer({ min: 10, max: 160 }),
  faultShare: fc.constantFrom(0, 0.1, 0.3, 0.6),
});

type Step = { worker: Worker; run(): void };
type Worker = { charger: Charger; alive: boolean; paused: boolean; partitions: number[]; abort: AbortController };
type Entry = { charge: Charge; offset: number };

/**
 * A world of workers, a log, a table and two processors. Whatever a worker does outside of itself is a step, and which step comes
 * next is drawn: so a worker may crash, sleep or be overtaken before and after each of its effects.
 */
async function run(plan: Plan): Promise<void> {
  const random = makeRandom(plan.seed);
  const below = (count: number): number => Math.floor(random() * count);
  let faultShare = plan.faultShare;
  const fault = (): boolean => random() < faultShare;
  let nowMs = 1_800_000_000_000;
  let monotonicMs = 0;
  const pending: Step[] = [];
  const later: (() => void)[] = [];
  const store = makeMemoryStore();

  const pause = (worker: Worker): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    pending.push({ worker, run: resolve });
    return promise;
  };
  /** An effect between two steps: the worker may go down before it, and before it hears of it. */
  const effect = async <T>(worker: Worker, act: () => Promise<T>): Promise<T> => {
    await pause(worker);
    if (fault() && fault()) throw new AppError("postgres_unavailable");
    const result = await act();
    await pause(worker);
    if (fault() && fault()) throw new AppError("commit_unknown");
    return result;
  };

  const records: Record<ProcessorName, Map<string, { amountMinor: number; requestedAtMs: number }>> = {
    default: new Map(),
    fallback: new Map(),
  };
  const refunded = new Set<string>();
  const makeProcessors = (worker: () => Worker): Processors => ({
    async pay(processor, { id, amountMinor, requestedAtMs }) {
      await pause(worker());
      const record = (): boolean => {
        const known = records[processor].has(id);
        if (!known) records[processor].set(id, { amountMinor, requestedAtMs });
        return known;
      };
      const answer = async (outcome: Outcome): Promise<Outcome> => {
        await pause(worker());
        return outcome;
      };
      if (!fault()) return answer({ kind: "recorded", already: record() });
      const lost: Outcome = { kind: "unknown", reason: "time-out" };
      switch (below(5)) {
        case 0:
          return answer({ kind: "refused", reason: "500", overloaded: false });
        case 1:
          return answer(lost);
        case 2:
          record();
          return answer(lost);
        case 3:
          // It records long after the client gave up.
          later.push(record);
          return answer(lost);
        default:
          return answer({ kind: "misconfigured", reason: "404" });
      }
    },
    async refund(_processor, id) {
      await pause(worker());
      if (fault()) return "again";
      refunded.add(id);
      await pause(worker());
      return fault() ? "again" : "done";
    },
  });

  const makeTraffic = (worker: () => Worker): Traffic => {
    let running = 0;
    const slot = (processor: ProcessorName): Slot | undefined => {
      if (running >= 4) return undefined;
      running += 1;
      return { processor, probe: false };
    };
    const route = (): ProcessorName => (below(2) === 0 ? "default" : "fallback");
    return {
      async acquire(max, _oldest, signal) {
        for (;;) {
          await pause(worker());
          signal.throwIfAborted();
          if (fault()) continue;
          const processor = route();
          const slots = Array.from({ length: 1 + below(max) }, () => slot(processor)).filter(
            (one) => one !== undefined,
          );
          if (slots.length > 0) return slots;
        }
      },
      tryRoute: () => (fault() ? undefined : slot(route())),
      tryAt: (processor) => (fault() ? undefined : slot(processor)),
      answered: () => {
        running -= 1;
      },
      giveBack: () => {
        running -= 1;
      },
    };
  };

  const log: Entry[][] = Array.from({ length: plan.partitions }, () => []);
  const committed = log.map(() => 0);
  const workers: Worker[] = [];

  const consume = async (worker: Worker, partition: number): Promise<void> => {
    let position = committed[partition] ?? 0;
    while (worker.alive) {
      await pause(worker);
      if (!worker.partitions.includes(partition)) return;
      // Later than the work, and perhaps from one who will not have the partition much longer.
      if (!fault()) committed[partition] = Math.max(committed[partition] ?? 0, position);
      const batch = (log[partition] ?? []).slice(position, position + 1 + below(3));
      if (batch.length === 0) continue;
      try {
        await worker.charger.takeIn(
          partition,
          batch.map(({ charge }) => charge),
          worker.abort.signal,
        );
      } catch {
        continue;
      }
      position += batch.length;
    }
  };
  const sweepLoop = async (worker: Worker): Promise<void> => {
    while (worker.alive) {
      await pause(worker);
      await worker.charger.sweep().catch(() => undefined);
    }
  };
  const refundLoop = async (worker: Worker): Promise<void> => {
    while (worker.alive) {
      await pause(worker);
      await worker.charger.sweepRefunds().catch(() => undefined);
    }
  };
  const assign = (worker: Worker, partitions: number[]): void => {
    const fresh = partitions.filter((partition) => !worker.partitions.includes(partition));
    worker.partitions = partitions;
    worker.charger.assign(partitions).catch(() => undefined);
    for (const partition of fresh) void consume(worker, partition);
  };
  const startWorker = (partitions: number[]): Worker => {
    const abort = new AbortController();
    const self = (): Worker => worker;
    const effects: PaymentStore = {
      claim: (...args) => effect(worker, () => store.claim(...args)),
      insert: (...args) => effect(worker, () => store.insert(...args)),
      apply: (...args) => effect(worker, () => store.apply(...args)),
      find: (...args) => effect(worker, () => store.find(...args)),
      findOpen: (...args) => effect(worker, () => store.findOpen(...args)),
      findRefunds: (...args) => effect(worker, () => store.findRefunds(...args)),
    };
    const worker: Worker = {
      alive: true,
      paused: false,
      partitions: [],
      abort,
      charger: makeCharger({
        owner: `worker ${workers.length}`,
        store: effects,
        processors: makeProcessors(self),
        traffic: makeTraffic(self),
        clock: { nowMs: () => nowMs, monotonicMs: () => monotonicMs, sleep: () => pause(worker) },
        signal: abort.signal,
      }),
    };
    workers.push(worker);
    assign(worker, partitions);
    void sweepLoop(worker);
    void refundLoop(worker);
    return worker;
  };

  const all = log.map((_entries, partition) => partition);
  const live = (): Worker[] => workers.filter(({ alive, paused }) => alive && !paused);
  const control = makeControlPayment({ store, clock: { nowMs: () => nowMs } });
  const charges = plan.charges.map(
    ({ amountMinor, order, late }, index): Charge => ({
      source: order ? "order" : "api",
      id: `id-${index}`,
      partition: index % plan.partitions,
      amountMinor,
      orderId: order ? `order-${index}` : null,
      deadlineMs: order && late ? nowMs + 40 : null,
      acceptedAtMs: nowMs,
    }),
  );
  for (const charge of charges) {
    const entries = log[charge.partition] ?? [];
    entries.push({ charge, offset: entries.length });
    // A client that repeats itself, perhaps with another amount.
    if (fault())
      entries.push({ charge: { ...charge, amountMinor: charge.amountMinor + below(2) }, offset: entries.length });
  }
  const sendControls = async (share: number): Promise<void> => {
    for (const [index, { control: action, order }] of plan.charges.entries()) {
      const charge = charges[index];
      if (action === "none" || !order || charge?.orderId == null || random() >= share) continue;
      const { id, orderId, amountMinor, partition } = charge;
      await control({ action, id, orderId, amountMinor, partition });
    }
  };
  const misfortune = async (): Promise<void> => {
    const [victim] = live();
    switch (below(8)) {
      case 0:
        if (victim !== undefined) victim.alive = false;
        startWorker(all);
        return;
      case 1:
        // A zombie: it sleeps, another one takes over, and one day it goes on.
        if (victim !== undefined) victim.paused = true;
        startWorker(all);
        return;
      case 2:
        for (const worker of workers) worker.paused = false;
        return;
      case 3:
        // Two at once, of which each thinks that the partition is its own.
        if (live().length < 3) startWorker(all);
        return;
      case 4:
        if (victim !== undefined) assign(victim, victim.partitions.length === 0 ? all : []);
        return;
      case 5:
        nowMs += below(2) === 0 ? -below(5000) : below(5000);
        return;
      case 6:
        later.shift()?.();
        return;
      default:
        await sendControls(0.3);
    }
  };
  const turn = async (): Promise<void> => {
    const ready = pending.filter(({ worker }) => worker.alive && !worker.paused);
    const chosen = ready[below(ready.length)];
    if (chosen === undefined) return;
    pending.splice(pending.indexOf(chosen), 1);
    nowMs += 1;
    monotonicMs += 1;
    chosen.run();
    await new Promise((resolve) => setImmediate(resolve));
  };

  startWorker(all);
  for (let count = 0; count < plan.steps; count += 1) {
    if (random() < plan.faultShare / 4) await misfortune();
    await turn();
  }

  // The world is well again: one worker is left, the zombies wake up, what was late to be recorded is recorded.
  faultShare = 0;
  await sendControls(1);
  await sendControls(0.5);
  for (const worker of workers) worker.paused = false;
  const survivor = live().at(-1) ?? startWorker(all);
  for (const worker of workers) if (worker !== survivor) assign(worker, []);
  assign(survivor, all);
  const isOpen = ({ state, refund }: Payment): boolean =>
    state === "waiting" || state === "sending" || state === "unknown" || refund === "requested";
  const isDrained = (): boolean =>
    all.every((partition) => (committed[partition] ?? 0) >= (log[partition] ?? []).length) &&
    !store.rows().some(isOpen) &&
    store.rows().length >= charges.length;
  let rounds = 0;
  while (!isDrained()) {
    await turn();
    if (rounds % 50 === 0) later.shift()?.();
    rounds += 1;
    if (rounds > 6000) throw new Error(`not drained: ${JSON.stringify({ rows: store.rows(), committed, log })}`);
  }
  for (const record of later.splice(0)) record();
  for (let count = 0; count < 60; count += 1) await turn();
  for (const worker of workers) worker.alive = false;

  check();

  function check(): void {
    // 1. Each accepted payment is at exactly one processor, once, or at none when its order ended before it was sent.
    for (const charge of charges) {
      const at = (["default", "fallback"] as const).filter((name) => records[name].has(charge.id));
      const row = store.rows().find((one) => keyText(one) === keyText(charge));
      if (row === undefined) throw new Error(`lost: ${charge.id}`);
      expect(at, `${charge.id} is ${row.state}`).toEqual(row.state === "settled" ? [row.processor] : []);
      if (row.state === "settled" && row.processor !== null) {
        const record = records[row.processor].get(charge.id);
        expect(record).toEqual({ amountMinor: row.amountMinor, requestedAtMs: row.requestedAtMs });
      } else {
        expect(row.source).toBe("order");
        expect(["cancelled", "expired"]).toContain(row.state);
      }
      // 3. Money and outcome agree: what was told last is how it is, and what was cancelled is not kept.
      const told = store.events.filter(({ payment }) => payment.id === charge.id).map(({ event }) => event);
      const plans = plan.charges[charges.indexOf(charge)];
      if (row.source === "order") {
        const ends = new Set(told.filter((event) => event !== "refunded" && event !== "refund_manual"));
        expect([...ends]).toEqual([row.state]);
        const wantsMoneyBack = plans?.control === "cancel" || plans?.control === "refund";
        if (row.state === "settled") expect(row.refund).toBe(wantsMoneyBack ? "done" : null);
        expect(told.includes("refunded")).toBe(row.refund === "done");
        expect(refunded.has(charge.id)).toBe(row.refund === "done");
      } else {
        expect(told).toEqual([]);
        expect(row.refund).toBeNull();
      }
    }
    // 2. The rollups are what the processors say.
    for (const lengthMs of Object.values(granularityMs)) {
      for (const name of ["default", "fallback"] as const) {
        const expected = new Map<string, { payments: number; amountMinor: number }>();
        for (const { amountMinor, requestedAtMs } of records[name].values()) {
          const key = `${lengthMs}/${Math.floor(requestedAtMs / lengthMs) * lengthMs}/${name}`;
          const sum = expected.get(key) ?? { payments: 0, amountMinor: 0 };
          expected.set(key, { payments: sum.payments + 1, amountMinor: sum.amountMinor + amountMinor });
        }
        const kept = [...store.rollups].filter(([key]) => key.startsWith(`${lengthMs}/`) && key.endsWith(`/${name}`));
        expect(new Map(kept)).toEqual(expected);
      }
    }
  }
}

describe("the worker's protocol", () => {
  it("charges each payment once, whatever crashes, sleeps, repeats and comes late", async () => {
    await fc.assert(fc.asyncProperty(plans, run), { numRuns: Number(process.env.SIM_RUNS ?? 10_000) });
  });
});
