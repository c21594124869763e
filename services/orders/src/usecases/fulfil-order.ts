import { AppError } from "@pricing-engine/chassis/errors";
import { claimInbox, type OutboxRow, type Pool, withTransaction } from "@pricing-engine/postgres";
import type { Order, OrderRef } from "../adapters/order-rows.ts";
import { lockOrders } from "../adapters/order-store.ts";
import { isOutage } from "../adapters/outages.ts";
import type { ReceiptStore } from "../adapters/receipt-store.ts";
import { schemaName } from "../adapters/schema.ts";
import { makeReceipt } from "../domain/receipt.ts";
import { deadlineMs, gatherMs } from "./deadline.ts";
import { makeFindPaidOrder } from "./find-in-batches.ts";
import { makeMoveInBatches } from "./move-in-batches.ts";
import { type MoveDeps, moveOrder } from "./move-order.ts";

export interface Attempt {
  /** The message's, the same on each delivery of it. */
  readonly messageId: string;
  readonly attempt: number;
  readonly deadLetter: (reason: string) => OutboxRow;
}

export type FulfilOrder = (ref: OrderRef, attempt: Attempt) => Promise<void>;

const consumer = "fulfillment";

/**
 * Writes the receipt, then says so. The bytes of a receipt are the order's alone, so writing it again changes nothing; one whose order
 * was cancelled meanwhile is deleted again. A store that is away or full is an outage. Everything else that goes wrong, first of all a
 * receipt that the store refuses, is this order's own fault: counted on the order, so that the last failure, its refund and its dead
 * letter are one transaction, and nothing charged waits for ever.
 *
 * @throws AppError `receipt_refused` while there are attempts left
 */
export function makeFulfilOrder(deps: MoveDeps & { pool: Pool; receipts: ReceiptStore }): FulfilOrder {
  const { pool, receipts } = deps;
  const findPaidOrder = makeFindPaidOrder(pool, gatherMs);
  const move = makeMoveInBatches({ ...deps, gatherMs: 0 });

  const fulfil = async (ref: OrderRef): Promise<void> => {
    const found = await findPaidOrder(ref);
    if (found === undefined || isFulfilled(found.order)) return;
    const { order, lines } = found;
    if (order.state.status !== "paid") {
      // Cancelled while an earlier delivery, which may have died, was writing.
      await receipts.remove(order);
      return;
    }
    const written = await receipts.write(order, makeReceipt({ ...order, placedAt: order.createdAt, lines }));
    if (written.kind === "refused") throw new AppError("receipt_refused", { detail: written.reason });
    const { jsonUrl, pageUrl } = written;
    const locked = await move(ref, ({ state }) =>
      state.status === "paid"
        ? { event: { type: "fulfilment_succeeded" }, receipt: { ...ref, jsonUrl, pageUrl } }
        : undefined,
    );
    if (locked?.state.status !== "paid" && !(locked && isFulfilled(locked))) await receipts.remove(order);
  };

  return async (ref, attempt) => {
    try {
      await fulfil(ref);
    } catch (error) {
      if (isOutage(error)) throw error;
      const detail = reasonOf(error);
      if (await countFailure(deps, ref, attempt, detail))
        throw new AppError("receipt_refused", { detail, cause: error });
    }
  };
}

function isFulfilled({ state }: Order): boolean {
  return state.status === "fulfilled" || state.status === "notified";
}

/** What the order says of it: no internals, that is what the log is for. */
function reasonOf(error: unknown): string {
  if (error instanceof AppError && error.code === "receipt_refused") return error.message;
  return "the receipt cannot be made";
}

/** True while the message is to come again. */
async function countFailure(
  deps: MoveDeps & { pool: Pool },
  ref: OrderRef,
  { messageId, attempt, deadLetter }: Attempt,
  reason: string,
): Promise<boolean> {
  return withTransaction(
    deps.pool,
    async (tx) => {
      const order = (await lockOrders(tx, [ref])).get(ref.orderId);
      if (order?.state.status !== "paid") return false;
      // After a crash between this commit and the message's retry the same attempt comes again: it counts once.
      const fresh = await claimInbox(tx, { schema: schemaName, consumer, messageId: `${messageId}.${attempt}` });
      if (!fresh) return true;
      const event = { type: "fulfilment_failed", reason } as const;
      const step = await moveOrder(tx, { order, event, deadLetter, comesAgain: true }, deps);
      return step.kind !== "moved" || step.state.status === "paid";
    },
    { deadlineMs },
  );
}
