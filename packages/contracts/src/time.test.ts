import { expect, it } from "vitest";
import { timeInput } from "./time.ts";

it.each([
  ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"],
  ["2026-01-31T12:00:00.1234567+02:00", "2026-01-31T10:00:00.123Z"],
  ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"],
  ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
])("takes %s", (text, utc) => {
  expect(timeInput.parse(text)).toBe(utc);
});

it.each([
  "2026-01-31T12:00:00",
  "2026-02-30T12:00:00Z",
  "2026-01-31",
  "0000-12-31T23:59:59Z",
  "0001-01-01T00:00:00+00:01",
  "9999-12-31T23:59:59-00:01",
])("refuses %s", (text) => {
  expect(timeInput.safeParse(text).success).toBe(false);
});
