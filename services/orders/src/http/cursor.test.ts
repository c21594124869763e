import { AppError } from "@pricing-engine/chassis/errors";
import { expect, it } from "vitest";
import { decodeCursor, encodeCursor } from "./cursor.ts";

it("reads what it wrote", () => {
  const position = { createdAt: "2026-01-31T12:00:00.123Z", orderId: "ord_1" };
  expect(decodeCursor(encodeCursor(position))).toEqual(position);
});

it.each([
  "2026-02-31T00:00:00.000Z",
  "2026-01-30T24:00:00.000Z",
  "0000-01-01T00:00:00.000Z",
  "2026-13-01T00:00:00.000Z",
])("refuses a time that no calendar shows: %s", (createdAt) => {
  expect(() => decodeCursor(encodeCursor({ createdAt, orderId: "ord_1" }))).toThrow(AppError);
});
