import { AppError } from "@pricing-engine/chassis/errors";
import { type Change, firstIntent, isLate, keyText, type Payment, type Step, step } from "../domain/payment.ts";
import { otherProcessor, type ProcessorName, processorNames } from "../domain/processor.ts";
import type { Clock, Fence, Intent, PaymentStore, ProcessorCall, Processors, Slot, Traffic } from "./ports.ts";

export type Charge = Pick<
  Payment,
  "source" | "id" | "partition" | "amountMinor" | "orderId" | "deadlineMs" | "acceptedAtMs"
> &
  Pick<ProcessorCall, "trace">;

export type ChargerDeps = {
  /** Unique among all processes that ever were. */
  owner: string;
  store: PaymentStore;
  processors: Processors;
  traffic: Traffic;
  clock: Clock;
  /** Ends the process: what waits for something gives up. */
  signal: AbortSignal;
  onSettled?: (payment: Payment, already: boolean, trace: ProcessorCall["trace"]) => void;
  onError?: (error: unknown, what: string) => void;
  /** Rows that one sweep reads per state, and per processor of those that only one can answer for. */
  sweepLimit?: number;
};

export type Charger = {
  /** Resolves once the intent of each charge is written; sending and settling go on behind it. */
  takeIn(partition: number, charges: readonly Charge[], signal: AbortSignal): Promise<void>;
  /** Takes up what is open in the table and not in memory. */
  sweep(): Promise<void>;
  /** Makes the refunds that were asked for. Apart from the sweep: one that hangs must not hold up what is charged. */
  sweepRefunds(): Promise<void>;
  /** The partitions that this process reads from Kafka now. */
  assign(partitions: readonly number[]): Promise<void>;
  /** Payments in memory: written as being sent and not seen to their end. */
  inHand(): number;
  /** Resolves when nothing is in memory. */
  idle(): Promise<void>;
};

const retryMs = 250;
const refundsAtOnce = 20;

/**
 * The worker's protocol: slot → intent → send → settle. It keeps in memory only what is in the air; whatever else is open lies in
 * the table and is swept up by the owner of its partition. Nothing here knows Kafka, Postgres or HTTP.
 */
export function makeCharger(deps: ChargerDeps): Charger {
  const { owner, store, processors, traffic, clock, signal, sweepLimit = 2000 } = deps;
  const fences = new Map<number, Fence>();
  let assigned: readonly number[] = [];
  // Counted, because a repeat may come while its first is in the air.
  const held = new Map<string, number>();
  let inAir = 0;
  const onIdle: (() => void)[] = [];

  const hold = (row: Payment): void => {
    const key = keyText(row);
    held.set(key, (held.get(key) ?? 0) + 1);
  };
  const drop = (row: Payment): void => {
    const key = keyText(row);
    const count = (held.get(key) ?? 1) - 1;
    if (count > 0) held.set(key, count);
    else held.delete(key);
  };
  const owns = (fence: Fence): boolean => fences.get(fence.partition)?.epoch === fence.epoch;
  const lose = (fence: Fence): void => {
    if (owns(fence)) fences.delete(fence.partition);
  };

  /**
   * Brings a step to the row, whatever happened to it meanwhile. Answers with the row only when this very call wrote it; that
   * alone entitles to send.
   */
  const write = async (row: Payment, input: Step, fence: Fence): Promise<Change | undefined> => {
    let known = row;
    for (;;) {
      const change = step(known, input);
      if (change === undefined) return undefined;
      try {
        const [result] = await store.apply([{ before: known, change, fence }]);
        if (result === "applied") return change;
        if (result === "fenced") {
          lose(fence);
          return undefined;
        }
        // Who moved it meanwhile knows of it: it is no orphan, and may be in the air again.
        if (input.kind === "orphaned") return undefined;
        const found = await store.find(known);
        if (found === undefined) return undefined;
        known = found;
      } catch (error) {
        deps.onError?.(error, "write");
        // Whether it was written is not known: the next try finds out by its version.
        if (signal.aborted || !owns(fence)) return undefined;
        await clock.sleep(retryMs, signal);
      }
    }
  };

  /** Sends what is written as being sent, and settles it. Never rejects. */
  const send = async (first: Payment, firstSlot: Slot, fence: Fence, trace?: ProcessorCall["trace"]): Promise<void> => {
    let row = first;
    let slot = firstSlot;
    inAir += 1;
    try {
      for (;;) {
        const { id, amountMinor, requestedAtMs } = row;
        if (requestedAtMs === null) throw new AppError("internal", { detail: "a payment is sent without requestedAt" });
        const startedMs = clock.monotonicMs();
        const outcome = await processors.pay(slot.processor, { id, amountMinor, requestedAtMs, trace });
        traffic.answered(slot, outcome, clock.monotonicMs() - startedMs);
        const other =
          outcome.kind === "refused" && !row.pinned && row.ending === null ? tryOther(slot.processor) : undefined;
        const attempt = row.attempts;
        const input = { kind: "outcome", attempt, outcome, nowMs: clock.nowMs(), next: other?.processor } as const;
        const written = await write(row, input, fence);
        if (other !== undefined) {
          if (written?.after.state === "sending" && written.after.processor === other.processor) {
            row = written.after;
            slot = other;
            continue;
          }
          traffic.giveBack(other);
        }
        if (written?.after.state === "settled" && outcome.kind === "recorded") {
          deps.onSettled?.(written.after, outcome.already, trace);
        }
        return;
      }
    } catch (error) {
      deps.onError?.(error, "send");
    } finally {
      drop(first);
      inAir -= 1;
      if (inAir === 0) {
        for (const done of onIdle.splice(0)) done();
      }
    }
  };

  const tryOther = (processor: ProcessorName): Slot | undefined => {
    const slot = traffic.tryRoute();
    if (slot === undefined || slot.processor === otherProcessor(processor)) return slot;
    traffic.giveBack(slot);
    return undefined;
  };

  const claim = async (partition: number): Promise<Fence> => {
    const known = fences.get(partition);
    if (known !== undefined) return known;
    const [fence] = await store.claim([partition], owner);
    if (fence === undefined) throw new AppError("unavailable", { detail: `partition ${partition} was not claimed` });
    fences.set(partition, fence);
    return fence;
  };

  const insert = async (
    charges: readonly Charge[],
    slots: readonly Slot[],
    fence: Fence,
    nowMs: number,
  ): Promise<void> => {
    const intents: Intent[] = charges.map(({ trace: _trace, ...charge }, index) => {
      const processor = slots[index]?.processor ?? "default";
      return { change: firstIntent({ ...charge, createdAtMs: nowMs }, processor, nowMs), fence };
    });
    for (const { change } of intents) hold(change.after);
    let results: Awaited<ReturnType<PaymentStore["insert"]>>;
    try {
      results = await store.insert(intents);
    } catch (error) {
      // Perhaps written: then the sweep finds it, and nobody knows whether it was sent.
      for (const { change } of intents) drop(change.after);
      for (const slot of slots) traffic.giveBack(slot);
      throw error;
    }
    for (const [index, { change }] of intents.entries()) {
      const slot = slots[index];
      if (results[index] === "inserted" && change.after.state === "sending" && slot !== undefined) {
        void send(change.after, slot, fence, charges[index]?.trace);
        continue;
      }
      drop(change.after);
      if (slot !== undefined) traffic.giveBack(slot);
    }
    if (results.includes("fenced")) {
      lose(fence);
      throw new AppError("unavailable", { detail: `partition ${fence.partition} belongs to another worker` });
    }
  };

  const takeIn: Charger["takeIn"] = async (partition, charges, abort) => {
    const fence = await claim(partition);
    let rest = [...charges];
    while (rest.length > 0) {
      abort.throwIfAborted();
      const nowMs = clock.nowMs();
      // Too late for a first attempt: it needs no slot, and no route to wait for.
      const late = rest.filter(({ deadlineMs }) => deadlineMs !== null && nowMs > deadlineMs);
      if (late.length > 0) {
        await insert(uniqueOf(late), [], fence, nowMs);
        const done = new Set(late);
        rest = rest.filter((charge) => !done.has(charge));
        continue;
      }
      const oldest = Math.min(...rest.map(({ acceptedAtMs }) => acceptedAtMs));
      const slots = await traffic.acquire(rest.length, oldest, abort);
      const chosen = uniqueOf(rest.slice(0, slots.length));
      const taken = new Set(chosen);
      for (const slot of slots.slice(chosen.length)) traffic.giveBack(slot);
      await insert(chosen, slots.slice(0, chosen.length), fence, clock.nowMs());
      rest = rest.filter((charge) => !taken.has(charge));
    }
  };

  const takeUp = async (row: Payment, input: Step, slot: Slot, fence: Fence): Promise<void> => {
    hold(row);
    const written = await write(row, input, fence);
    if (written?.after.state === "sending" && written.after.processor === slot.processor) {
      // Not awaited: `send` drops it.
      void send(written.after, slot, fence);
      return;
    }
    drop(row);
    traffic.giveBack(slot);
  };

  /** Also for partitions lost to somebody who only thought that they were his: a quiet one would be nobody's. */
  const claimAssigned = async (): Promise<void> => {
    const fresh = assigned.filter((partition) => !fences.has(partition));
    if (fresh.length === 0) return;
    const claimed = await store.claim(fresh, owner);
    for (const fence of claimed) if (assigned.includes(fence.partition)) fences.set(fence.partition, fence);
  };

  const sweep: Charger["sweep"] = async () => {
    await claimAssigned();
    const own = [...fences.keys()];
    if (own.length === 0) return;
    const work: Promise<unknown>[] = [];
    const fenceOf = (row: Payment): Fence | undefined =>
      held.has(keyText(row)) ? undefined : fences.get(row.partition);

    for (const row of await store.findOpen(own, ["sending"], sweepLimit)) {
      const fence = fenceOf(row);
      if (fence !== undefined) work.push(write(row, { kind: "orphaned" }, fence));
    }
    // Of each processor by itself: what one that is down still has to answer for must not keep out what the other one would answer.
    for (const processor of processorNames) {
      for (const row of await store.findOpen(own, ["unknown"], sweepLimit, processor)) {
        const fence = fenceOf(row);
        const slot = fence === undefined ? undefined : traffic.tryAt(processor);
        if (fence !== undefined && slot !== undefined) work.push(takeUp(row, { kind: "ask_again" }, slot, fence));
      }
    }
    let blocked = false;
    for (const row of await store.findOpen(own, ["waiting"], sweepLimit)) {
      const fence = fenceOf(row);
      if (fence === undefined) continue;
      const nowMs = clock.nowMs();
      if (isLate(row, nowMs)) {
        work.push(write(row, { kind: "send", processor: "default", nowMs }, fence));
        continue;
      }
      const slot = blocked ? undefined : traffic.tryRoute();
      // Those behind it may still be late.
      if (slot === undefined) blocked = true;
      else work.push(takeUp(row, { kind: "send", processor: slot.processor, nowMs }, slot, fence));
    }
    await Promise.all(work);
  };

  const refund = async (row: Payment): Promise<void> => {
    const fence = fences.get(row.partition);
    if (fence === undefined || row.processor === null || signal.aborted) return;
    // May be asked for any number of times, so an unknown outcome is simply asked for again.
    const outcome = await processors.refund(row.processor, row.id);
    if (outcome === "again") return;
    await write(row, { kind: "refund_outcome", refund: outcome === "done" ? "done" : "manual_review" }, fence);
  };

  const sweepRefunds: Charger["sweepRefunds"] = async () => {
    const own = [...fences.keys()];
    if (own.length === 0) return;
    await Promise.all((await store.findRefunds(own, refundsAtOnce)).map(refund));
  };

  return {
    takeIn,
    sweep,
    sweepRefunds,
    async assign(partitions) {
      assigned = partitions;
      const wanted = new Set(partitions);
      for (const partition of fences.keys()) if (!wanted.has(partition)) fences.delete(partition);
      await claimAssigned();
    },
    inHand: () => inAir,
    idle: () => (inAir === 0 ? Promise.resolve() : new Promise((resolve) => onIdle.push(resolve))),
  };
}

/** The first of each payment: one statement must not meet the same key twice. */
function uniqueOf(charges: readonly Charge[]): Charge[] {
  const seen = new Set<string>();
  return charges.filter((charge) => {
    const key = keyText(charge);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
