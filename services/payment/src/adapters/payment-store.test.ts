import { expect, it } from "vitest";
import { findSpacingMs } from "./payment-store.ts";

it("lets wait for others only the outcome that nobody waits for", () => {
  expect(findSpacingMs({ state: "settled", source: "api" })).toBe(20);
  expect(findSpacingMs({ state: "settled", source: "order" })).toBe(5);
  for (const source of ["api", "order"] as const) expect(findSpacingMs({ state: "sending", source })).toBe(5);
});
