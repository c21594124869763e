import { expect, it } from "vitest";
import { auditPayments, isClean, note, type Recorded, type Row, sumUp, type Tale } from "./payments.ts";

const record = (correlationId: string, amountMinor = 100, requestedAtMs = 5): Recorded => ({
  correlationId,
  amountMinor,
  requestedAtMs,
});
const row = (correlationId: string, processor: string, changed: Partial<Row> = {}): Row => ({
  correlationId,
  state: "settled",
  processor,
  amountMinor: 100,
  requestedAtMs: 5,
  ...changed,
});
const tales = (entries: Record<string, Tale["told"]>): Map<string, Tale> =>
  new Map(Object.entries(entries).map(([id, told]) => [id, { told, amountMinor: 100 }]));

const good = {
  tales: tales({ a: "accepted", b: "accepted", c: "refused", d: "unanswered", e: "unanswered" }),
  default: [record("a"), record("d")],
  fallback: [record("b")],
  rows: [row("a", "default"), row("b", "fallback"), row("d", "default")],
};

it("finds nothing where every promise was kept", () => {
  const audit = auditPayments(good);
  expect(isClean(audit)).toBe(true);
  expect(audit).toMatchObject({ accepted: 2, refused: 1, unanswered: 2, recorded: { default: 2, fallback: 1 } });
});

it.each([
  ["lost", { ...good, fallback: [], rows: good.rows.filter(({ correlationId }) => correlationId !== "b") }],
  ["doubled", { ...good, fallback: [record("b"), record("a")] }],
  ["recordedThoughRefused", { ...good, fallback: [record("b"), record("c")] }],
  ["unasked", { ...good, default: [...good.default, record("x")] }],
  ["wrongAmount", { ...good, fallback: [record("b", 101)] }],
  ["rowDiffers", { ...good, rows: [...good.rows, row("e", "default")] }],
  ["rowDiffers", { ...good, rows: [row("a", "default", { requestedAtMs: 6 }), ...good.rows.slice(1)] }],
  ["rowDiffers", { ...good, rows: [row("a", "default", { state: "unknown" }), ...good.rows.slice(1)] }],
  ["rowDiffers", { ...good, rows: good.rows.slice(1) }],
] as const)("finds what is %s", (kind, input) => {
  const audit = auditPayments(input);
  expect(audit.faults[kind]).not.toEqual([]);
  expect(isClean(audit)).toBe(false);
});

it("keeps the strongest of several answers for one id", () => {
  const told = new Map<string, Tale>();
  for (const each of ["refused", "accepted", "unanswered"] as const) note(told, "a", { told: each, amountMinor: 1 });
  expect(told.get("a")?.told).toBe("accepted");
});

it("sums up inclusive windows exactly", () => {
  const records = [record("a", 10, 1), record("b", 20, 2), record("c", 7, 3)];
  expect(sumUp(records, 1, 2)).toEqual({ totalRequests: 2, totalAmount: 0.3 });
  expect(sumUp(records, 4, 9)).toEqual({ totalRequests: 0, totalAmount: 0 });
});
