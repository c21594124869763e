import type { ControlAction } from "../domain/payment.ts";
import { endedBeforeCharge, step } from "../domain/payment.ts";
import type { Clock, ControlStore } from "./ports.ts";

export type Control = {
  action: ControlAction;
  id: string;
  orderId: string;
  amountMinor: number;
  /** Of the message: controls and charges have the same key, and their topics as many partitions. */
  partition: number;
};

/** Ends an order's charge, or has it refunded. May come before the charge, repeated, and late: the row decides. */
export function makeControlPayment({ store, clock }: { store: ControlStore; clock: Pick<Clock, "nowMs"> }) {
  return async (control: Control): Promise<void> => {
    const { action, id, orderId, amountMinor, partition } = control;
    await store.control({ source: "order", id }, (row) => {
      if (row !== undefined) {
        const change = step(row, { kind: "control", action });
        return change && { change, insert: false };
      }
      const nowMs = clock.nowMs();
      const charge = { source: "order", id, orderId, amountMinor, partition, deadlineMs: null } as const;
      const change = endedBeforeCharge({ ...charge, createdAtMs: nowMs, acceptedAtMs: nowMs }, action);
      return { change, insert: true };
    });
  };
}
