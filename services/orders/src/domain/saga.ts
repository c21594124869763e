import { assertNever } from "@pricing-engine/chassis/errors";

/**
 * The life of an order. `step` is the only place where it changes; every stage calls it on the locked row and carries out what it says
 * in the same transaction: effects there and then, commands through the outbox.
 *
 * | state          | event                     | next                              | does                                  |
 * |----------------|---------------------------|-----------------------------------|---------------------------------------|
 * | placed         | stock_reserved            | reserved                          | charge                                |
 * | placed         | stock_rejected            | rejected                          |                                       |
 * | placed         | reservation_failed        | rejected                          | dead_letter                           |
 * | placed         | cancel_requested          | cancelled, refund none            |                                       |
 * | reserved       | charge_settled            | paid                              | fulfil                                |
 * | reserved       | charge_expired, _cancelled| payment_failed                    | release                               |
 * | reserved       | cancel_requested          | cancelling                        | cancel_charge                         |
 * | paid           | fulfilment_succeeded      | fulfilled                         | notify                                |
 * | paid           | fulfilment_failed, < max  | paid                              | fulfil                                |
 * | paid           | fulfilment_failed, = max  | cancelling                        | refund, dead_letter                   |
 * | paid           | cancel_requested          | cancelling                        | refund                                |
 * | cancelling     | charge_settled            | cancelling                        | refund                                |
 * | cancelling     | charge_expired, _cancelled| cancelled, refund none            | release                               |
 * | cancelling     | refund_done, _manual      | cancelled, refund done or manual  | release                               |
 * | fulfilled      | notification_sent         | notified                          |                                       |
 * | fulfilled      | notification_failed       | fulfilled, notification failed    | dead_letter                           |
 * | rejected, payment_failed, cancelled | charge_settled | the same, refund pending   | refund                                |
 * | the same, refund pending | refund_done, _manual | the same, refund done or manual |                                    |
 *
 * Everything else changes nothing: messages come again, late and out of order, and the locked state decides. Stock is given back only
 * once it is certain that the charge is not there or is given back too; only the payment service can say so.
 */
export type OrderStatus =
  | "placed"
  | "reserved"
  | "paid"
  | "fulfilled"
  | "notified"
  | "rejected"
  | "payment_failed"
  | "cancelling"
  | "cancelled";

export type Refund = "none" | "pending" | "done" | "manual";

export type OrderState = {
  readonly status: OrderStatus;
  /** What the order must be charged, in minor units: a settlement of anything else is not this order's. */
  readonly amountMinor: number;
  /** Whether the order holds stock. */
  readonly holdsStock: boolean;
  readonly refund: Refund;
  /** Fulfilments that failed by their own fault. */
  readonly fulfilmentFailures: number;
  readonly notification: "pending" | "sent" | "failed";
  /** Why it was rejected or cancelled. */
  readonly reason: string | null;
};

export type OrderEvent =
  | { readonly type: "stock_reserved" }
  | { readonly type: "stock_rejected"; readonly reason: string }
  /** Through a fault of ours, for the last time: nothing is held and nothing charged, so it may end. */
  | { readonly type: "reservation_failed"; readonly reason: string }
  | { readonly type: "charge_settled"; readonly amountMinor: number }
  | { readonly type: "charge_expired" }
  | { readonly type: "charge_cancelled" }
  | { readonly type: "refund_done" }
  | { readonly type: "refund_manual" }
  | { readonly type: "fulfilment_succeeded" }
  | { readonly type: "fulfilment_failed"; readonly reason: string }
  | { readonly type: "notification_sent" }
  | { readonly type: "notification_failed"; readonly reason: string }
  | { readonly type: "cancel_requested"; readonly reason: string };

/** What other stages are asked for. Each may be asked again: they act on the state that they find. */
export type OrderCommand =
  | { readonly type: "charge" }
  | { readonly type: "cancel_charge" }
  | { readonly type: "refund" }
  | { readonly type: "fulfil" }
  | { readonly type: "notify" }
  | { readonly type: "dead_letter"; readonly reason: string };

/** What happens in the transaction of the step itself: money moves elsewhere, stock lies in the same database. */
export type OrderEffect = "release_stock";

export type Step =
  | {
      readonly kind: "moved";
      readonly state: OrderState;
      readonly commands: readonly OrderCommand[];
      readonly effects: readonly OrderEffect[];
    }
  | { readonly kind: "unchanged" }
  /** A cancel that comes too late: 409. */
  | { readonly kind: "refused" };

export function placeOrder(amountMinor: number): { state: OrderState; commands: readonly [{ type: "reserve" }] } {
  const state: OrderState = {
    status: "placed",
    amountMinor,
    holdsStock: false,
    refund: "none",
    fulfilmentFailures: 0,
    notification: "pending",
    reason: null,
  };
  return { state, commands: [{ type: "reserve" }] };
}

const unchanged: Step = { kind: "unchanged" };

export function step(state: OrderState, event: OrderEvent, limits: { maxFulfilmentFailures: number }): Step {
  switch (event.type) {
    case "stock_reserved":
      return state.status === "placed"
        ? move(state, { status: "reserved", holdsStock: true }, { type: "charge" })
        : unchanged;
    case "stock_rejected":
      return state.status === "placed" ? move(state, { status: "rejected", reason: event.reason }) : unchanged;
    case "reservation_failed":
      return state.status === "placed"
        ? move(state, { status: "rejected", reason: event.reason }, { type: "dead_letter", reason: event.reason })
        : unchanged;
    case "charge_settled":
      return event.amountMinor === state.amountMinor ? onSettled(state) : unchanged;
    case "charge_expired":
    case "charge_cancelled":
      return onNeverCharged(state, event.type);
    case "refund_done":
      return onRefund(state, "done");
    case "refund_manual":
      return onRefund(state, "manual");
    case "fulfilment_succeeded":
      return state.status === "paid" ? move(state, { status: "fulfilled" }, { type: "notify" }) : unchanged;
    case "fulfilment_failed":
      return onFulfilmentFailed(state, event.reason, limits.maxFulfilmentFailures);
    case "notification_sent":
      return isToNotify(state) ? move(state, { status: "notified", notification: "sent" }) : unchanged;
    case "notification_failed":
      return isToNotify(state) && state.notification !== "failed"
        ? move(state, { notification: "failed" }, { type: "dead_letter", reason: event.reason })
        : unchanged;
    case "cancel_requested":
      return onCancel(state, event.reason);
    default:
      return assertNever(event);
  }
}

/**
 * What an order waits for that is overdue, and may have been lost on its way: the sweeper asks again, which changes nothing that is
 * already done. A charge is not sent again but ended: it is overdue only after its deadline, and then its outcome is told again.
 */
export type OverdueCommand = OrderCommand | { readonly type: "reserve" } | { readonly type: "expire_charge" };

export function overdueCommand(state: OrderState): OverdueCommand | undefined {
  switch (state.status) {
    case "placed":
      return { type: "reserve" };
    case "reserved":
      return { type: "expire_charge" };
    case "paid":
      return { type: "fulfil" };
    case "fulfilled":
      return state.notification === "pending" ? { type: "notify" } : undefined;
    case "cancelling":
      return state.refund === "pending" ? { type: "refund" } : { type: "cancel_charge" };
    case "rejected":
    case "payment_failed":
    case "cancelled":
      return state.refund === "pending" ? { type: "refund" } : undefined;
    case "notified":
      return undefined;
    default:
      return assertNever(state.status);
  }
}

function isToNotify(state: OrderState): boolean {
  // A replay from the dead letters may still deliver what had failed.
  return state.status === "fulfilled";
}

function onSettled(state: OrderState): Step {
  switch (state.status) {
    case "reserved":
      return move(state, { status: "paid" }, { type: "fulfil" });
    case "cancelling":
    case "rejected":
    case "payment_failed":
    case "cancelled":
      return state.refund === "none" ? move(state, { refund: "pending" }, { type: "refund" }) : unchanged;
    case "placed":
    case "paid":
    case "fulfilled":
    case "notified":
      return unchanged;
    default:
      return assertNever(state.status);
  }
}

function onNeverCharged(state: OrderState, reason: string): Step {
  if (state.status === "reserved") return release(state, { status: "payment_failed", reason });
  // Once it settled, only a refund ends it; the two exclude each other at the payment service.
  if (state.status === "cancelling" && state.refund === "none") return release(state, { status: "cancelled" });
  return unchanged;
}

function onRefund(state: OrderState, refund: "done" | "manual"): Step {
  if (state.status === "cancelling") return release(state, { status: "cancelled", refund });
  const ended = state.status === "rejected" || state.status === "payment_failed" || state.status === "cancelled";
  // A person may do by hand what the processor could not, and say so.
  if (ended && (state.refund === "pending" || (state.refund === "manual" && refund === "done")))
    return move(state, { refund });
  return unchanged;
}

function onFulfilmentFailed(state: OrderState, reason: string, maxFailures: number): Step {
  if (state.status !== "paid") return unchanged;
  const fulfilmentFailures = state.fulfilmentFailures + 1;
  if (fulfilmentFailures < maxFailures) return move(state, { fulfilmentFailures }, { type: "fulfil" });
  return move(
    state,
    { status: "cancelling", refund: "pending", fulfilmentFailures, reason },
    { type: "refund" },
    { type: "dead_letter", reason },
  );
}

function onCancel(state: OrderState, reason: string): Step {
  switch (state.status) {
    case "placed":
      return move(state, { status: "cancelled", reason });
    case "reserved":
      return move(state, { status: "cancelling", reason }, { type: "cancel_charge" });
    case "paid":
      return move(state, { status: "cancelling", refund: "pending", reason }, { type: "refund" });
    case "cancelling":
    case "cancelled":
      return unchanged;
    case "fulfilled":
    case "notified":
    case "rejected":
    case "payment_failed":
      return { kind: "refused" };
    default:
      return assertNever(state.status);
  }
}

function move(state: OrderState, change: Partial<OrderState>, ...commands: OrderCommand[]): Step {
  return { kind: "moved", state: { ...state, ...change }, commands, effects: [] };
}

function release(state: OrderState, change: Partial<OrderState>): Step {
  const effects: OrderEffect[] = state.holdsStock ? ["release_stock"] : [];
  return { kind: "moved", state: { ...state, ...change, holdsStock: false }, commands: [], effects };
}
