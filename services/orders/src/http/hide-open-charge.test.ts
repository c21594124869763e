import type { OrderResponse } from "@pricing-engine/contracts";
import { expect, it } from "vitest";
import { hideOpenCharge } from "./hide-open-charge.ts";

const order = (refund: OrderResponse["refund"], ...states: OrderResponse["status"][]): OrderResponse =>
  ({
    refund,
    payment_id: "id",
    transitions: states.map((to, index) => ({
      from: states[index - 1] ?? null,
      to,
      event: "",
      reason: null,
      at: "",
      trace_id: "",
    })),
  }) as Partial<OrderResponse> as OrderResponse;

it.each([
  [order("none", "placed"), null],
  [order("none", "placed", "reserved"), null],
  [order("none", "placed", "reserved", "cancelling"), null],
  [order("none", "placed", "reserved", "paid"), "id"],
  [order("none", "placed", "reserved", "paid", "fulfilled", "notified"), "id"],
  [order("none", "placed", "reserved", "payment_failed"), "id"],
  [order("none", "placed", "reserved", "cancelling", "cancelled"), "id"],
  // It was charged although it was to be cancelled.
  [order("pending", "placed", "reserved", "cancelling", "cancelling"), "id"],
])("%j", (one, shown) => {
  expect(hideOpenCharge(one).payment_id).toBe(shown);
});
