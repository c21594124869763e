import { type Change, type Payment, step } from "../domain/payment.ts";

export type Reviewed = { kind: "reviewed" } | { kind: "not_found" } | { kind: "nothing_to_review" };

export type ReviewedRow = { payment: Payment; review: string | null };

export type ReviewStore = {
  /** Locks the row; where `decide` says so, writes its change, forgets why it was to be looked at, and audits, in one transaction. */
  decide(
    id: string,
    source: Payment["source"] | undefined,
    audit: { actor: string; reason: string },
    decide: (row: ReviewedRow | undefined) => { result: Reviewed; change: Change | undefined },
  ): Promise<Reviewed>;
};

/** A person has seen to a payment: made the refund that its processor could not make, or settled what differed. */
export function makeEndReview(store: ReviewStore) {
  return (input: {
    id: string;
    source: Payment["source"] | undefined;
    actor: string;
    reason: string;
  }): Promise<Reviewed> =>
    store.decide(input.id, input.source, input, (row) => {
      if (row === undefined) return { result: { kind: "not_found" }, change: undefined };
      const change = step(row.payment, { kind: "refunded_by_hand" });
      const isOpen = change !== undefined || row.review !== null;
      return { result: { kind: isOpen ? "reviewed" : "nothing_to_review" }, change };
    });
}
