import type { Payment } from "../domain/payment.ts";
import type { ProcessorName } from "../domain/processor.ts";

export type Totals = { payments: number; amountMinor: number };

/** A row of ours whose last attempt was at this processor, whatever its state. */
export type OwnPayment = { id: string; source: string; state: string; amountMinor: number; requestedAtMs: number };

/** A row of ours by which this processor has nothing: it is at the other one, waits, or has ended. */
export type OtherPayment = Pick<Payment, "id" | "source" | "state" | "processor">;

/** Milliseconds of the epoch, both bounds inclusive. */
export type TimeWindow = { fromMs: number; toMs: number };

export type Difference =
  /** Settled by us, unknown to the processor. */
  | { kind: "not_at_processor"; processor: ProcessorName; payment: OwnPayment }
  | { kind: "other_amount"; processor: ProcessorName; payment: OwnPayment; amountMinor: number }
  /** `amountMinor`: what the processor has. */
  | { kind: "other_time"; processor: ProcessorName; payment: OwnPayment; requestedAt: string; amountMinor: number }
  /** The processor has it; with us it is still open. Its owner finds out by itself. */
  | { kind: "still_open"; processor: ProcessorName; payment: OwnPayment }
  /** Settled by us at the other processor, and recorded at both. `amountMinor`: what this one has. */
  | { kind: "also_at"; processor: ProcessorName; payment: OtherPayment; amountMinor: number }
  /** Recorded here, and our row says otherwise: it has ended, waits, is open at the other processor, or settled there, which lacks it. */
  | { kind: "against_row"; processor: ProcessorName; payment: OtherPayment; amountMinor: number }
  /** What is left when the payments that we know were looked at: somebody else's, purged here, or more than are looked for. */
  | ({ kind: "unexplained"; processor: ProcessorName } & TimeWindow & Totals)
  | { kind: "rollups"; processor: ProcessorName; rollups: Totals; rows: Totals };

/** What a summary of a processor has more or, below 0, less than our rows explain. */
export type Rest = Extract<Difference, { kind: "unexplained" }>;

export type ReconcilePorts = {
  /** From the rollups, as `payments-summary` answers. */
  ours(fromMs: number, toMs: number): Promise<Record<ProcessorName, Totals>>;
  /** From the rows of settled payments. */
  rows(fromMs: number, toMs: number): Promise<Record<ProcessorName, Totals>>;
  theirs(processor: ProcessorName, fromMs: number, toMs: number): Promise<Totals>;
  /** Settled payments of ours with a `requestedAt` in the window, or those that are still being sent or asked for. */
  list(processor: ProcessorName, which: "settled" | "open", fromMs: number, toMs: number): Promise<OwnPayment[]>;
  /** Settled at the other processor with a `requestedAt` in the window: those that were sent more than once first, then those nearest to its middle. */
  listElsewhere(processor: ProcessorName, window: TimeWindow, limit: number): Promise<OtherPayment[]>;
  /**
   * Of those that were on their way in one of the windows: what is not settled and, by its row, not at this processor, and what was
   * settled at the other one after more than `toleranceMs`. Those that were ever sent first.
   */
  listUnderWay(processor: ProcessorName, windows: readonly TimeWindow[], limit: number): Promise<OtherPayment[]>;
  /** What else is where could not be looked for to the end. */
  onSearchFailed(processor: ProcessorName, error: unknown): void;
  /** The row as it is now. */
  read(payment: OtherPayment): Promise<OtherPayment | undefined>;
  find(processor: ProcessorName, id: string): Promise<{ amountMinor: number; requestedAt: string } | undefined>;
};

/** By how much the clocks of those who stamp a payment (gateway, Kafka, workers) may differ. */
export const toleranceMs = 30_000;

export function isWithin(atMs: number, { fromMs, toMs }: TimeWindow): boolean {
  return atMs >= fromMs && atMs <= toMs;
}
