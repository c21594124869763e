import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Outcome } from "./outcome.ts";
import { endedBeforeCharge, firstIntent, type Payment, type Step, step } from "./payment.ts";
import { type ProcessorName, processorNames } from "./processor.ts";

const charge = {
  source: "order",
  id: "id",
  createdAtMs: 0,
  partition: 0,
  amountMinor: 2005,
  orderId: "order",
  deadlineMs: 1000,
  acceptedAtMs: 0,
} as const;

const recorded: Outcome = { kind: "recorded", already: false };
const refused: Outcome = { kind: "refused", reason: "500", overloaded: false };
const unknown: Outcome = { kind: "unknown", reason: "time-out" };
const misconfigured: Outcome = { kind: "misconfigured", reason: "404" };

const sending = firstIntent(charge, "default", 10).after;
const pinned: Payment = { ...sending, pinned: true };
const atRest: Payment = { ...pinned, state: "unknown" };
const waiting: Payment = { ...sending, state: "waiting", processor: null, requestedAtMs: null };
const settled: Payment = { ...sending, state: "settled" };

function outcome(kind: Outcome, next?: ProcessorName, nowMs = 20): Step {
  return { kind: "outcome", attempt: 1, outcome: kind, nowMs, next };
}

describe("step", () => {
  it.each<[string, Payment, Step, Partial<Payment> | undefined, string[]]>([
    [
      "recorded settles",
      sending,
      outcome(recorded),
      { state: "settled", processor: "default", requestedAtMs: 10 },
      ["settled"],
    ],
    ["recorded settles a pinned one", pinned, outcome(recorded), { state: "settled", pinned: false }, ["settled"]],
    ["recorded after somebody gave up on it", atRest, outcome(recorded), { state: "settled" }, ["settled"]],
    ["refused: never sent", sending, outcome(refused), { state: "waiting", processor: null, requestedAtMs: null }, []],
    [
      "refused, the other is free",
      sending,
      outcome(refused, "fallback"),
      { state: "sending", processor: "fallback", requestedAtMs: 20, attempts: 2 },
      [],
    ],
    [
      "refused while pinned says nothing of the call before",
      pinned,
      outcome(refused, "fallback"),
      { state: "unknown", processor: "default", requestedAtMs: 10 },
      [],
    ],
    [
      "refused too late for another first attempt",
      sending,
      outcome(refused, "fallback", 1001),
      { state: "expired" },
      ["expired"],
    ],
    [
      "refused and no longer wanted",
      { ...sending, ending: "cancelled" },
      outcome(refused, "fallback"),
      { state: "cancelled" },
      ["cancelled"],
    ],
    ["unknown pins", sending, outcome(unknown), { state: "unknown", pinned: true, processor: "default" }, []],
    ["misconfigured pins", sending, outcome(misconfigured), { state: "unknown", pinned: true }, []],
    ["an earlier attempt's refusal", { ...sending, attempts: 2 }, outcome(refused), undefined, []],
    ["an outcome of what is settled", settled, outcome(recorded), undefined, []],
    ["a lost one is pinned", sending, { kind: "orphaned" }, { state: "unknown", pinned: true }, []],
    ["one at rest is not lost", atRest, { kind: "orphaned" }, undefined, []],
    [
      "asked again: the same request",
      atRest,
      { kind: "ask_again" },
      { state: "sending", processor: "default", requestedAtMs: 10, attempts: 2, pinned: true },
      [],
    ],
    [
      "one that waits is sent afresh",
      waiting,
      { kind: "send", processor: "fallback", nowMs: 30 },
      { state: "sending", processor: "fallback", requestedAtMs: 30, pinned: false },
      [],
    ],
    [
      "one that waits too long expires",
      waiting,
      { kind: "send", processor: "fallback", nowMs: 1001 },
      { state: "expired" },
      ["expired"],
    ],
    ["one in the air is not sent", sending, { kind: "send", processor: "fallback", nowMs: 30 }, undefined, []],
    ["released: never sent", atRest, { kind: "release" }, { state: "waiting", pinned: false, processor: null }, []],
    ["nobody releases what is in the air", pinned, { kind: "release" }, undefined, []],
    ["refunded by hand", { ...settled, refund: "manual_review" }, { kind: "refunded_by_hand" }, { refund: "done" }, []],
    [
      "no refund by hand beside the processor's",
      { ...settled, refund: "requested" },
      { kind: "refunded_by_hand" },
      undefined,
      [],
    ],
    [
      "cancel before it was sent",
      waiting,
      { kind: "control", action: "cancel" },
      { state: "cancelled" },
      ["cancelled"],
    ],
    ["expire before it was sent", waiting, { kind: "control", action: "expire" }, { state: "expired" }, ["expired"]],
    [
      "cancel in the air waits for the outcome",
      sending,
      { kind: "control", action: "cancel" },
      { state: "sending", ending: "cancelled" },
      [],
    ],
    [
      "expire in the air waits for the outcome",
      sending,
      { kind: "control", action: "expire" },
      { state: "sending", ending: "expired" },
      [],
    ],
    [
      "an expiry does not undo a cancel",
      { ...sending, ending: "cancelled" },
      { kind: "control", action: "expire" },
      undefined,
      [],
    ],
    [
      "cancelled in the air, then recorded: refund",
      { ...sending, ending: "cancelled" },
      outcome(recorded),
      { state: "settled", refund: "requested" },
      ["settled"],
    ],
    [
      "expired in the air, then recorded: it stands",
      { ...sending, ending: "expired" },
      outcome(recorded),
      { state: "settled", refund: null },
      ["settled"],
    ],
    ["cancel of what is settled", settled, { kind: "control", action: "cancel" }, { refund: "requested" }, ["settled"]],
    ["refund of what is settled", settled, { kind: "control", action: "refund" }, { refund: "requested" }, ["settled"]],
    [
      "expire of what is settled tells it again",
      settled,
      { kind: "control", action: "expire" },
      { refund: null },
      ["settled"],
    ],
    [
      "a repeat of a refund that is done",
      { ...settled, refund: "done" },
      { kind: "control", action: "refund" },
      { refund: "done" },
      ["refunded"],
    ],
    [
      "a repeat of one that a person does",
      { ...settled, refund: "manual_review" },
      { kind: "control", action: "cancel" },
      { refund: "manual_review" },
      ["refund_manual"],
    ],
    [
      "a repeat of a cancel",
      { ...waiting, state: "cancelled" },
      { kind: "control", action: "cancel" },
      { state: "cancelled" },
      ["cancelled"],
    ],
    [
      "a refund that is made",
      { ...settled, refund: "requested" },
      { kind: "refund_outcome", refund: "done" },
      { refund: "done" },
      ["refunded"],
    ],
    ["a refund that nobody asked for", settled, { kind: "refund_outcome", refund: "done" }, undefined, []],
  ])("%s", (_name, row, input, expected, events) => {
    const change = step(row, input);
    if (expected === undefined) {
      expect(change).toBeUndefined();
      return;
    }
    expect(change?.after).toMatchObject(expected);
    expect(change?.events).toEqual(events);
  });

  it("starts late charges as expired, and controls without a charge as ended", () => {
    expect(firstIntent(charge, "default", 1001)).toMatchObject({ after: { state: "expired" }, events: ["expired"] });
    expect(endedBeforeCharge(charge, "cancel")).toMatchObject({ after: { state: "cancelled" }, events: ["cancelled"] });
    expect(endedBeforeCharge(charge, "expire")).toMatchObject({ after: { state: "expired" }, events: ["expired"] });
  });

  const processor = fc.constantFrom(...processorNames);
  const anyOutcome = fc.constantFrom(recorded, refused, unknown, misconfigured);
  const anyStep = fc.oneof(
    fc.record({ kind: fc.constant("send" as const), processor, nowMs: fc.nat(2000) }),
    fc.record({
      kind: fc.constant("outcome" as const),
      attempt: fc.integer({ min: 1, max: 4 }),
      outcome: anyOutcome,
      nowMs: fc.nat(2000),
      next: fc.option(processor, { nil: undefined }),
    }),
    fc.constantFrom<Step>({ kind: "orphaned" }, { kind: "ask_again" }),
    fc.constantFrom("cancel", "expire", "refund").map((action): Step => ({ kind: "control", action })),
    fc.constantFrom("done", "manual_review").map((refund): Step => ({ kind: "refund_outcome", refund })),
  );

  it("never lets two processors have it, nor one request go out with two times", () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 40 }), fc.nat(900), (steps, nowMs) => {
        let row = firstIntent(charge, "default", nowMs).after;
        // Where an attempt may have been recorded, and with which time.
        let maybe: { processor: string; requestedAtMs: number | null } | undefined;
        const told: string[] = [];
        for (const input of steps) {
          if (row.state === "sending" && input.kind === "outcome" && input.attempt === row.attempts) {
            const at = { processor: row.processor ?? "", requestedAtMs: row.requestedAtMs };
            if (input.outcome.kind !== "refused") maybe ??= at;
          }
          if (input.kind === "orphaned" && row.state === "sending") {
            maybe ??= { processor: row.processor ?? "", requestedAtMs: row.requestedAtMs };
          }
          const change = step(row, input);
          if (change === undefined) continue;
          told.push(...change.events);
          const { after } = change;
          expect(after === row || after.version === row.version + 1).toBe(true);
          if (maybe !== undefined) {
            expect({ processor: after.processor, requestedAtMs: after.requestedAtMs }).toEqual(maybe);
            expect(["sending", "unknown", "settled"]).toContain(after.state);
          }
          // An end is an end.
          if (row.state === "settled" || row.state === "cancelled" || row.state === "expired") {
            expect(after.state).toBe(row.state);
          }
          row = after;
        }
        const ends = new Set(told.filter((event) => !event.startsWith("refund")));
        expect(ends.size).toBeLessThanOrEqual(1);
      }),
      { numRuns: 2000 },
    );
  });
});
