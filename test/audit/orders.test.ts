import { expect, it } from "vitest";
import { auditOrders, isClean, type OrderAuditInput, type OrderRow, renderOrderAudit } from "./orders.ts";

const row = (orderId: string, changed: Partial<OrderRow> = {}): OrderRow => ({
  orderId,
  idempotencyKey: `key-${orderId}`,
  status: "notified",
  refund: "none",
  notification: "sent",
  paymentId: `pay-${orderId}`,
  amountMinor: 100,
  holdsStock: true,
  ...changed,
});
const charge = (orderId: string, refunded = false, amountMinor = 100) => {
  return { correlationId: `pay-${orderId}`, amountMinor, refunded };
};
const rejected = { status: "rejected", holdsStock: false };
const cancelled = { status: "cancelled", refund: "done", holdsStock: false };

const good: OrderAuditInput = {
  tales: new Map([
    ["key-a", { told: "accepted" as const, orderId: "a" }],
    ["key-b", { told: "unanswered" as const }],
    ["key-x", { told: "refused" as const }],
  ]),
  rows: [row("a"), row("b", rejected), row("c", cancelled)],
  charges: [charge("a"), charge("c", true)],
  stocks: [{ productId: "p", initial: 10, stock: 9, reserved: 0, sold: 1 }],
  receipts: ["a"],
};
const withA = (changed: Partial<OrderRow>): OrderAuditInput => ({
  ...good,
  rows: [row("a", changed), ...good.rows.slice(1)],
});

it("finds nothing where every promise was kept", () => {
  const audit = auditOrders(good);
  expect(renderOrderAudit(audit)).toContain("accepted 1; 1 notified, 1 rejected, 1 cancelled");
  expect(isClean(audit)).toBe(true);
  expect(isClean(auditOrders(withA({ status: "fulfilled", notification: "failed" })))).toBe(true);
});

it.each<[keyof ReturnType<typeof auditOrders>["faults"], OrderAuditInput]>([
  ["lost", { ...good, rows: good.rows.slice(1), charges: good.charges.slice(1), receipts: [] }],
  ["lost", withA({ orderId: "z" })],
  ["doubled", { ...good, rows: [...good.rows, row("a2", { ...rejected, idempotencyKey: "key-a" })] }],
  ["unended", withA({ status: "paid" })],
  ["unended", withA({ status: "fulfilled", notification: "pending" })],
  ["unended", withA({ ...cancelled, refund: "pending" })],
  ["money", { ...good, charges: good.charges.slice(1) }],
  ["money", { ...good, charges: [...good.charges, charge("a")] }],
  ["money", { ...good, charges: [charge("a", true), ...good.charges.slice(1)] }],
  ["money", { ...good, charges: [charge("a", false, 101), ...good.charges.slice(1)] }],
  ["money", { ...good, charges: [...good.charges, charge("b")] }],
  ["money", { ...good, charges: [charge("a"), charge("c")] }],
  ["money", { ...good, charges: [...good.charges, charge("nobody")] }],
  ["stock", { ...good, stocks: [{ productId: "p", initial: 10, stock: 10, reserved: 0, sold: 1 }] }],
  ["stock", { ...good, stocks: [{ productId: "p", initial: 10, stock: 8, reserved: 1, sold: 1 }] }],
  ["stock", { ...good, rows: [...good.rows, row("d", { ...rejected, holdsStock: true })] }],
  ["receipts", { ...good, receipts: [] }],
  ["receipts", { ...good, receipts: ["a", "b"] }],
])("finds what is wrong with %s", (kind, input) => {
  const audit = auditOrders(input);
  expect(audit.faults[kind]).not.toEqual([]);
  expect(isClean(audit)).toBe(false);
});
