import { type Change, type Payment, step } from "../domain/payment.ts";

export type Released = { kind: "released" } | { kind: "not_found" } | { kind: "not_pinned"; state: Payment["state"] };

export type ReleaseStore = {
  /** Locks the row, and writes what `decide` returns with its events and audit entry, in one transaction. Answers with the row before. */
  decide(
    id: string,
    source: Payment["source"] | undefined,
    audit: { actor: string; reason: string },
    decide: (row: Payment) => Change | undefined,
  ): Promise<Payment | undefined>;
};

/**
 * Ends a pin by hand: a person states that the processor has not recorded the payment and will not. It may then go to the other
 * one. Only what is at rest can be released: a call in the air could still be recorded.
 */
export function makeReleasePayment(store: ReleaseStore) {
  return async (input: {
    id: string;
    source: Payment["source"] | undefined;
    actor: string;
    reason: string;
  }): Promise<Released> => {
    const before = await store.decide(input.id, input.source, input, (row) => step(row, { kind: "release" }));
    if (before === undefined) return { kind: "not_found" };
    return before.state === "unknown" ? { kind: "released" } : { kind: "not_pinned", state: before.state };
  };
}
