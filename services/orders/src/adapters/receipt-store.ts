import type { Receipt } from "../domain/receipt.ts";
import type { OrderRef } from "./order-rows.ts";

export type Written =
  | { readonly kind: "written"; readonly jsonUrl: string; readonly pageUrl: string }
  /** Not now nor ever: the store takes others. */
  | { readonly kind: "refused"; readonly reason: string };

/** Object storage or a directory. */
export interface ReceiptStore {
  /** Once; what is there already stays. @throws AppError `unavailable` when the store is away, full or misconfigured */
  write(order: OrderRef, receipt: Receipt): Promise<Written>;
  remove(order: OrderRef): Promise<void>;
  close(): void;
}

export interface ReceiptNames {
  readonly json: string;
  readonly page: string;
}

/** By month, like the rows of the order. */
export function receiptNames({ orderId, createdAt }: OrderRef): ReceiptNames {
  const base = `${createdAt.slice(0, 4)}/${createdAt.slice(5, 7)}/${orderId}`;
  return { json: `${base}.json`, page: `${base}.html` };
}
