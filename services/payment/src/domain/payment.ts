/**
 * The state machine of one payment's row.
 *
 *   (intent) ─▶ sending ─recorded──────────────────────────▶ settled ─cancel, refund─▶ refund: requested ─▶ done | manual_review ─by hand─▶ done
 *      │         │ ▲ │ ▲                                       ▲
 *      │  refused│ │ │ └─asked again─┐                         │
 *      │ (never  │ │ └─unknown,──▶ unknown (pinned) ──recorded─┘
 *      │  sent)  ▼ │   orphaned       │
 *      └───▶  waiting ◀─released──────┘
 *                └─cancel─▶ cancelled, └─expire, deadline─▶ expired        (a refused one that nobody wants any more, too)
 *
 * One rule keeps a payment from being charged twice: it goes to another processor, or takes a fresh `requestedAt`, only from
 * `waiting` or by a refusal while not pinned, that is when every attempt so far was refused for certain. Whoever writes a
 * row does it by compare-and-set on `version`, and sends only after that.
 */
import { assertNever } from "@pricing-engine/chassis/errors";
import type { Outcome } from "./outcome.ts";
import type { ProcessorName } from "./processor.ts";

export type PaymentState = "waiting" | "sending" | "unknown" | "settled" | "cancelled" | "expired";
export type RefundState = "requested" | "done" | "manual_review";

export type PaymentKey = { source: "api" | "order"; id: string };

export type Payment = PaymentKey & {
  /** Decides the month; part of the row's identity. */
  createdAtMs: number;
  /** Of the topic `payments`: whose owner works on it. */
  partition: number;
  amountMinor: number;
  orderId: string | null;
  /** No first attempt starts after it. */
  deadlineMs: number | null;
  acceptedAtMs: number;
  state: PaymentState;
  processor: ProcessorName | null;
  requestedAtMs: number | null;
  /** An attempt at `processor` may have been recorded there. */
  pinned: boolean;
  attempts: number;
  version: number;
  ending: "cancelled" | "expired" | null;
  refund: RefundState | null;
};

export type PaymentEvent = "settled" | "cancelled" | "expired" | "refunded" | "refund_manual";

export type ControlAction = "cancel" | "expire" | "refund";

export type Step =
  /** Of a payment that was never sent; a fresh first attempt. */
  | { kind: "send"; processor: ProcessorName; nowMs: number }
  /** What attempt number `attempt` came to. `next`: where it may go at once when it was refused. */
  | { kind: "outcome"; attempt: number; outcome: Outcome; nowMs: number; next: ProcessorName | undefined }
  /** Its sender is gone, or lost sight of it. */
  | { kind: "orphaned" }
  /** The same request to the same processor. */
  | { kind: "ask_again" }
  | { kind: "control"; action: ControlAction }
  /** A person states that the processor has not recorded it and will not. */
  | { kind: "release" }
  /** A person has made the refund that the processor could not make. */
  | { kind: "refunded_by_hand" }
  | { kind: "refund_outcome"; refund: "done" | "manual_review" };

/** What a step does: the row after it, and what is told to whoever asked for the payment. */
export type Change = { after: Payment; events: PaymentEvent[] };

/** The row of a charge before anything was written: sent at once, or too late. */
export function firstIntent(
  charge: Omit<
    Payment,
    "state" | "processor" | "requestedAtMs" | "pinned" | "attempts" | "version" | "ending" | "refund"
  >,
  processor: ProcessorName,
  nowMs: number,
): Change {
  const fresh: Payment = {
    ...charge,
    state: "waiting",
    processor: null,
    requestedAtMs: null,
    pinned: false,
    attempts: 0,
    version: 0,
    ending: null,
    refund: null,
  };
  return startOrExpire(fresh, processor, nowMs);
}

/** The row of a control that came before its charge. */
export function endedBeforeCharge(
  charge: Omit<
    Payment,
    "state" | "processor" | "requestedAtMs" | "pinned" | "attempts" | "version" | "ending" | "refund"
  >,
  action: ControlAction,
): Change {
  const state = endingOf(action);
  const after: Payment = {
    ...charge,
    state,
    processor: null,
    requestedAtMs: null,
    pinned: false,
    attempts: 0,
    version: 1,
    ending: null,
    refund: null,
  };
  return { after, events: [state] };
}

/** Undefined: the step does not apply to the row as it is, and nothing is written. */
export function step(row: Payment, input: Step): Change | undefined {
  switch (input.kind) {
    case "send":
      return row.state === "waiting" ? startOrExpire(row, input.processor, input.nowMs) : undefined;
    case "outcome":
      return onOutcome(row, input);
    case "orphaned":
      return row.state === "sending" ? next(row, { state: "unknown", pinned: true }) : undefined;
    case "ask_again":
      return row.state === "unknown" ? next(row, { state: "sending", attempts: row.attempts + 1 }) : undefined;
    case "control":
      return onControl(row, input.action);
    case "release":
      return row.state === "unknown" ? toWaiting(row) : undefined;
    case "refunded_by_hand":
      // Told to nobody: its order ended when the refund was left to a person.
      return row.refund === "manual_review" ? next(row, { refund: "done" }) : undefined;
    case "refund_outcome":
      return row.refund === "requested" && row.state === "settled"
        ? next(row, { refund: input.refund }, input.refund === "done" ? "refunded" : "refund_manual")
        : undefined;
    default:
      return assertNever(input);
  }
}

function onOutcome(row: Payment, input: Extract<Step, { kind: "outcome" }>): Change | undefined {
  // Each attempt is a write, so an outcome of another attempt than the last is one that somebody already gave up on.
  if (row.attempts !== input.attempt) return undefined;
  const { outcome, nowMs } = input;
  switch (outcome.kind) {
    case "recorded":
      if (row.state !== "sending" && row.state !== "unknown") return undefined;
      return next(
        row,
        { state: "settled", pinned: false, refund: row.ending === "cancelled" ? "requested" : row.refund },
        "settled",
      );
    case "refused":
      if (row.state !== "sending") return undefined;
      // It says nothing about the earlier attempt, which may still be running there.
      if (row.pinned) return next(row, { state: "unknown" });
      if (input.next !== undefined && row.ending === null) return startOrExpire(row, input.next, nowMs);
      return toWaiting(row, nowMs);
    case "unknown":
    case "misconfigured":
      return row.state === "sending" ? next(row, { state: "unknown", pinned: true }) : undefined;
    default:
      return assertNever(outcome);
  }
}

function onControl(row: Payment, action: ControlAction): Change | undefined {
  switch (row.state) {
    case "waiting":
      return toEnd(row, endingOf(action));
    case "sending":
    case "unknown": {
      // Once cancelled it stays so: an expiry that comes later must not keep the money.
      const ending = row.ending === "cancelled" ? "cancelled" : endingOf(action);
      return ending === row.ending ? undefined : next(row, { ending });
    }
    case "settled":
      if (action !== "expire" && row.refund === null) return next(row, { refund: "requested" }, "settled");
      return { after: row, events: [endEvent(row)] };
    case "cancelled":
    case "expired":
      return { after: row, events: [row.state] };
    default:
      return assertNever(row.state);
  }
}

function endEvent({ refund }: Payment): PaymentEvent {
  if (refund === "done") return "refunded";
  return refund === "manual_review" ? "refund_manual" : "settled";
}

function startOrExpire(row: Payment, processor: ProcessorName, nowMs: number): Change {
  if (isLate(row, nowMs)) return toEnd(row, "expired");
  return next(row, { state: "sending", processor, requestedAtMs: nowMs, pinned: false, attempts: row.attempts + 1 });
}

/** To where a payment goes of which it is certain that nobody recorded it. */
function toWaiting(row: Payment, nowMs?: number): Change {
  if (row.ending !== null) return toEnd(row, row.ending);
  if (nowMs !== undefined && isLate(row, nowMs)) return toEnd(row, "expired");
  return next(row, { state: "waiting", processor: null, requestedAtMs: null, pinned: false });
}

function toEnd(row: Payment, state: "cancelled" | "expired"): Change {
  return next(row, { state, processor: null, requestedAtMs: null, pinned: false, ending: null }, state);
}

function endingOf(action: ControlAction): "cancelled" | "expired" {
  return action === "expire" ? "expired" : "cancelled";
}

export function isLate({ deadlineMs }: Payment, nowMs: number): boolean {
  return deadlineMs !== null && nowMs > deadlineMs;
}

function next(row: Payment, changed: Partial<Payment>, ...events: PaymentEvent[]): Change {
  return { after: { ...row, ...changed, version: row.version + 1 }, events };
}

export function keyText({ source, id }: PaymentKey): string {
  return `${source}:${id}`;
}
