import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type OrderEvent, type OrderState, overdueCommand, placeOrder, step } from "./saga.ts";

const limits = { maxFulfilmentFailures: 3 };
const placed = placeOrder(2000).state;
const settled: OrderEvent = { type: "charge_settled", amountMinor: 2000 };
const reserved: OrderEvent = { type: "stock_reserved" };
const fulfilled: OrderEvent = { type: "fulfilment_succeeded" };
const failed: OrderEvent = { type: "fulfilment_failed", reason: "no paper" };
const cancel: OrderEvent = { type: "cancel_requested", reason: "changed my mind" };

function run(events: readonly OrderEvent[], from: OrderState = placed) {
  let state = from;
  const done: string[] = [];
  for (const event of events) {
    const next = step(state, event, limits);
    if (next.kind !== "moved") {
      done.push(next.kind);
      continue;
    }
    state = next.state;
    done.push(...next.commands.map(({ type }) => type), ...next.effects);
  }
  return { ...state, done };
}

describe("step", () => {
  it.each<[string, OrderEvent[], Partial<OrderState>, string[]]>([
    [
      "all goes well",
      [reserved, settled, fulfilled, { type: "notification_sent" }],
      { status: "notified", holdsStock: true, refund: "none" },
      ["charge", "fulfil", "notify"],
    ],
    [
      "no stock",
      [{ type: "stock_rejected", reason: "out of stock" }],
      { status: "rejected", reason: "out of stock", holdsStock: false },
      [],
    ],
    [
      "no reservation through our own fault",
      [{ type: "reservation_failed", reason: "the stock cannot be reserved" }, reserved, settled],
      { status: "rejected", reason: "the stock cannot be reserved", holdsStock: false, refund: "pending" },
      ["dead_letter", "unchanged", "refund"],
    ],
    [
      "no payment in time",
      [reserved, { type: "charge_expired" }],
      { status: "payment_failed", holdsStock: false },
      ["charge", "release_stock"],
    ],
    ["cancelled before anything", [cancel], { status: "cancelled", refund: "none" }, []],
    [
      "cancelled before the charge",
      [reserved, cancel, { type: "charge_cancelled" }],
      { status: "cancelled", refund: "none", holdsStock: false },
      ["charge", "cancel_charge", "release_stock"],
    ],
    [
      "cancelled, but charged already",
      [reserved, cancel, settled, { type: "refund_done" }],
      { status: "cancelled", refund: "done", holdsStock: false },
      ["charge", "cancel_charge", "refund", "release_stock"],
    ],
    [
      "cancelled after the charge",
      [reserved, settled, cancel, { type: "refund_manual" }],
      { status: "cancelled", refund: "manual", holdsStock: false },
      ["charge", "fulfil", "refund", "release_stock"],
    ],
    [
      "cancelled too late",
      [reserved, settled, fulfilled, cancel],
      { status: "fulfilled" },
      ["charge", "fulfil", "notify", "refused"],
    ],
    [
      "fulfilment fails twice",
      [reserved, settled, failed, failed, fulfilled],
      { status: "fulfilled", fulfilmentFailures: 2 },
      ["charge", "fulfil", "fulfil", "fulfil", "notify"],
    ],
    [
      "fulfilment fails for good",
      [reserved, settled, failed, failed, failed, { type: "refund_done" }],
      { status: "cancelled", refund: "done", holdsStock: false, reason: "no paper" },
      ["charge", "fulfil", "fulfil", "fulfil", "refund", "dead_letter", "release_stock"],
    ],
    [
      "nobody to tell",
      [reserved, settled, fulfilled, { type: "notification_failed", reason: "404" }],
      { status: "fulfilled", notification: "failed" },
      ["charge", "fulfil", "notify", "dead_letter"],
    ],
    [
      "told by a replay",
      [reserved, settled, fulfilled, { type: "notification_failed", reason: "404" }, { type: "notification_sent" }],
      { status: "notified", notification: "sent" },
      ["charge", "fulfil", "notify", "dead_letter"],
    ],
    [
      "charged after its end",
      [reserved, { type: "charge_expired" }, settled, { type: "refund_done" }],
      { status: "payment_failed", refund: "done" },
      ["charge", "release_stock", "refund"],
    ],
    [
      "somebody else's settlement",
      [reserved, { type: "charge_settled", amountMinor: 1 }],
      { status: "reserved" },
      ["charge", "unchanged"],
    ],
    ["fulfilled before it was paid", [reserved, fulfilled], { status: "reserved" }, ["charge", "unchanged"]],
  ])("%s", (_name, events, state, done) => {
    const result = run(events);
    expect(result).toMatchObject(state);
    expect(result.done).toEqual(done);
  });

  const anyEvent: fc.Arbitrary<OrderEvent> = fc.constantFrom<OrderEvent>(
    reserved,
    { type: "stock_rejected", reason: "out of stock" },
    settled,
    { type: "charge_expired" },
    { type: "charge_cancelled" },
    { type: "refund_done" },
    { type: "refund_manual" },
    fulfilled,
    failed,
    { type: "notification_sent" },
    { type: "notification_failed", reason: "404" },
    cancel,
  );

  it("takes no event twice, whatever came before, but a fulfilment that failed again", () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 20 }), anyEvent, (before, event) => {
        fc.pre(event.type !== "fulfilment_failed");
        const once = run([...before, event]);
        const { done: _done, ...state } = once;
        expect(step(state, event, limits).kind).not.toBe("moved");
      }),
    );
  });

  it("keeps stock exactly while it is sold or may still be, and gives it back once", () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 30 }), (events) => {
        const { status, holdsStock, done } = run(events);
        const holding = ["reserved", "paid", "fulfilled", "notified", "cancelling"].includes(status);
        expect(holdsStock).toBe(holding);
        expect(done.filter((one) => one === "release_stock").length).toBeLessThanOrEqual(1);
      }),
    );
  });

  it("leaves nothing to be done exactly at the end", () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 30 }), (events) => {
        const { done: _done, ...state } = run(events);
        const ended =
          state.status === "notified" ||
          (state.status === "fulfilled" && state.notification === "failed") ||
          (["rejected", "payment_failed", "cancelled"].includes(state.status) && state.refund !== "pending");
        expect(overdueCommand(state) === undefined).toBe(ended);
      }),
    );
  });
});
