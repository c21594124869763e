/**
 * Compares what clients were told of their orders with our tables, the processors' records and the receipts. Pure; `order-sources.ts`
 * fetches the parts. For an engine at rest: every order must have come to its end.
 */
import type { Told } from "./payments.ts";

/** By idempotency key: what the client was told, and of which order. */
export type OrderTales = ReadonlyMap<string, { readonly told: Told; readonly orderId?: string | undefined }>;

export interface OrderRow {
  readonly orderId: string;
  readonly idempotencyKey: string;
  readonly status: string;
  readonly refund: string;
  readonly notification: string;
  readonly paymentId: string;
  readonly amountMinor: number;
  readonly holdsStock: boolean;
}

export interface Charge {
  readonly correlationId: string;
  readonly amountMinor: number;
  readonly refunded: boolean;
}

export interface StockRow {
  readonly productId: string;
  /** What it began with. */
  readonly initial: number;
  readonly stock: number;
  readonly reserved: number;
  /** Units in orders that were fulfilled. */
  readonly sold: number;
}

export interface OrderAuditInput {
  readonly tales: OrderTales;
  readonly rows: readonly OrderRow[];
  /** Of both processors. */
  readonly charges: readonly Charge[];
  readonly stocks: readonly StockRow[];
  /** Orders that have a receipt in the store. */
  readonly receipts: readonly string[];
}

export interface OrderAudit {
  readonly accepted: number;
  readonly byStatus: Readonly<Record<string, number>>;
  /** By kind; all empty when every promise was kept. Sentences that begin with an id. */
  readonly faults: {
    /** Accepted, and not there, or under another id than was told. */
    readonly lost: readonly string[];
    /** One key, several orders. */
    readonly doubled: readonly string[];
    readonly unended: readonly string[];
    /** Money does not agree with the state: charged and not fulfilled, fulfilled and not charged, twice, or another amount. */
    readonly money: readonly string[];
    readonly stock: readonly string[];
    readonly receipts: readonly string[];
  };
}

const ends = new Set(["notified", "rejected", "payment_failed", "cancelled"]);
const delivered = new Set(["fulfilled", "notified"]);

export function auditOrders({ tales, rows, charges, stocks, receipts }: OrderAuditInput): OrderAudit {
  const byKey = Map.groupBy(rows, ({ idempotencyKey }) => idempotencyKey);
  const byStatus: Record<string, number> = {};
  for (const { status } of rows) byStatus[status] = (byStatus[status] ?? 0) + 1;
  const accepted = [...tales].filter(([, { told }]) => told === "accepted");
  return {
    accepted: accepted.length,
    byStatus,
    faults: {
      lost: accepted.flatMap(([key, { orderId }]) => {
        const found = byKey.get(key) ?? [];
        if (found.length === 0) return [`${key}: no order`];
        return found.some((row) => row.orderId === orderId) ? [] : [`${key}: told ${orderId}, is ${found[0]?.orderId}`];
      }),
      doubled: [...byKey].flatMap(([key, found]) => (found.length > 1 ? [`${key}: ${found.length} orders`] : [])),
      unended: rows.flatMap((row) => (isEnded(row) ? [] : [`${row.orderId}: ${row.status}, ${row.notification}`])),
      money: findMoneyFaults(rows, charges),
      stock: [
        ...rows.flatMap(({ orderId, holdsStock, status }) =>
          holdsStock && !delivered.has(status) ? [`${orderId}: ${status}, and holds stock`] : [],
        ),
        ...stocks.flatMap(findStockFault),
      ],
      receipts: findReceiptFaults(rows, receipts),
    },
  };
}

function isEnded({ status, notification, refund }: OrderRow): boolean {
  return (ends.has(status) && refund !== "pending") || (status === "fulfilled" && notification === "failed");
}

function findMoneyFaults(rows: readonly OrderRow[], charges: readonly Charge[]): string[] {
  const byId = Map.groupBy(charges, ({ correlationId }) => correlationId);
  const known = new Set(rows.map(({ paymentId }) => paymentId));
  const faults = [...byId.keys()].flatMap((id) => (known.has(id) ? [] : [`${id}: charged for no order`]));
  for (const { orderId, paymentId, status, refund, amountMinor } of rows) {
    const [charge, ...others] = byId.get(paymentId) ?? [];
    const say = (what: string) => faults.push(`${orderId}: ${status}, refund ${refund}, ${what}`);
    if (others.length > 0) say("charged at both processors");
    if (charge !== undefined && charge.amountMinor !== amountMinor) say(`charged ${charge.amountMinor}`);
    if (delivered.has(status)) {
      if (charge === undefined) say("never charged");
      else if (charge.refunded) say("charged and refunded");
    } else if (charge === undefined) {
      if (refund !== "none") say("never charged");
    } else if (refund === "none" || (refund === "done" && !charge.refunded)) say("charged and not refunded");
  }
  return faults;
}

function findStockFault({ productId, initial, stock, reserved, sold }: StockRow): string[] {
  if (stock >= 0 && reserved === 0 && stock + sold === initial) return [];
  return [`${productId}: ${initial} at first, ${stock} left, ${reserved} reserved, ${sold} sold`];
}

function findReceiptFaults(rows: readonly OrderRow[], receipts: readonly string[]): string[] {
  const written = new Set(receipts);
  return rows.flatMap(({ orderId, status }) => {
    if (delivered.has(status) === written.has(orderId)) return [];
    return [`${orderId}: ${status}, ${written.has(orderId) ? "with" : "without"} a receipt`];
  });
}

export function isClean({ faults }: OrderAudit): boolean {
  return Object.values(faults).every((found) => found.length === 0);
}

export function renderOrderAudit({ accepted, byStatus, faults }: OrderAudit): string {
  const states = Object.entries(byStatus).map(([status, count]) => `${count} ${status}`);
  const lines = [`accepted ${accepted}; ${states.join(", ")}`];
  for (const [kind, found] of Object.entries(faults)) {
    lines.push(`${kind}: ${found.length}${found.length === 0 ? "" : `: ${found.slice(0, 5).join("; ")}`}`);
  }
  return lines.join("\n");
}
