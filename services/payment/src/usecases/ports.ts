import type { Outcome } from "../domain/outcome.ts";
import type { Change, Payment, PaymentEvent, PaymentKey } from "../domain/payment.ts";
import type { ProcessorName } from "../domain/processor.ts";

/** What the worker's protocol stands on: Postgres, processors and clocks in production, memory in simulation. */

/** Shown with every write: it happens only while this owner still has the partition. */
export type Fence = { partition: number; owner: string; epoch: number };

export type Write = { before: Payment; change: Change; fence: Fence };
export type WriteResult = "applied" | "stale" | "fenced";
export type Intent = { change: Change; fence: Fence };
/**
 * known: there is a row or a key already; another amount was noted as a conflict. Also of a client's payment under the id of an order's charge:
 * the processor has one payment of an id.
 */
export type IntentResult = "inserted" | "known" | "fenced";

export type PaymentStore = {
  /** Makes `owner` the owner of the partitions; the epoch rises unless he was it. */
  claim(partitions: readonly number[], owner: string): Promise<Fence[]>;
  /** Keys and rows of payments that nobody may know yet; all or nothing per payment. Results in the order of intents. */
  insert(intents: readonly Intent[]): Promise<IntentResult[]>;
  /** Compare-and-set on version, rollups and events included. Results in the order of writes. */
  apply(writes: readonly Write[]): Promise<WriteResult[]>;
  find(key: PaymentKey): Promise<Payment | undefined>;
  /** Open rows of the partitions, those with the fewest attempts first. `processor`: those alone that it was asked for last. */
  findOpen(
    partitions: readonly number[],
    states: readonly ("waiting" | "sending" | "unknown")[],
    limit: number,
    processor?: ProcessorName,
  ): Promise<Payment[]>;
  /** Settled payments whose refund was asked for and not made, in any order. */
  findRefunds(partitions: readonly number[], limit: number): Promise<Payment[]>;
};

/** Decides on the locked row (undefined: there is none) and writes what it decides, events included, in one transaction. */
export type ControlStore = {
  control(
    key: PaymentKey,
    decide: (row: Payment | undefined) => { change: Change; insert: boolean } | undefined,
  ): Promise<readonly PaymentEvent[]>;
};

/** `trace`: W3C headers of who asked for it; a payment that was taken up from the table has none. */
export type ProcessorCall = {
  id: string;
  amountMinor: number;
  requestedAtMs: number;
  trace?: Readonly<Record<string, string>> | undefined;
};
export type RefundOutcome = "done" | "no_refunds" | "again";

export type Processors = {
  /** Never rejects, and never asks twice by itself. */
  pay(processor: ProcessorName, call: ProcessorCall): Promise<Outcome>;
  refund(processor: ProcessorName, id: string): Promise<RefundOutcome>;
};

export type Slot = { processor: ProcessorName; probe: boolean };

/** Where payments may go now, and how many at once. */
export type Traffic = {
  /** Waits until at least one payment may be sent; at most `max` slots, all of one processor. Rejects when aborted. */
  acquire(max: number, oldestAcceptedAtMs: number, signal: AbortSignal): Promise<Slot[]>;
  /** A slot where the route leads now; undefined: wait. */
  tryRoute(): Slot | undefined;
  /** A slot at this processor, for a payment that can go nowhere else. */
  tryAt(processor: ProcessorName): Slot | undefined;
  /** The call is over; the slot is free. */
  answered(slot: Slot, outcome: Outcome, durationMs: number): void;
  /** The slot was not needed. */
  giveBack(slot: Slot): void;
};

export type Clock = {
  /** Milliseconds of the epoch; may jump. */
  nowMs(): number;
  /** Never goes back. */
  monotonicMs(): number;
  /** Resolves early when aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
};
