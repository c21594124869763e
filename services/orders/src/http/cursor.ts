import { AppError } from "@pricing-engine/chassis/errors";
import { isStorableText, timeInput } from "@pricing-engine/contracts";
import type { Position } from "../adapters/order-reader.ts";

export function encodeCursor({ createdAt, orderId }: Position): string {
  return Buffer.from(`${createdAt} ${orderId}`).toString("base64url");
}

/** @throws AppError validation_failed for what was never a cursor of ours */
export function decodeCursor(cursor: string): Position {
  const text = Buffer.from(cursor, "base64url").toString();
  const [, createdAt, orderId] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (.+)$/.exec(text) ?? [];
  if (
    createdAt !== undefined &&
    orderId !== undefined &&
    isStorableText(text) &&
    // What no calendar shows would be rolled over to another day.
    timeInput.safeParse(createdAt).data === createdAt
  ) {
    return { createdAt, orderId };
  }
  const message = "must be a next_cursor of this list";
  throw new AppError("validation_failed", {
    detail: `cursor ${message}`,
    fieldErrors: [{ pointer: "?cursor", code: "invalid_cursor", message }],
  });
}
