import { describe, expect, it } from "vitest";
import { makeReceipt } from "./receipt.ts";

const facts = {
  orderId: "ord_1",
  tenantId: "default",
  customerId: "<script>",
  currency: "EUR",
  totalMinor: 2000,
  paymentId: "p",
  placedAt: "2026-01-31T12:00:00.000Z",
  lines: [{ productId: "PROD-001", name: "Chair & table", quantity: 2, unitPriceMinor: 1000 }],
};

describe("makeReceipt", () => {
  it("says what was bought, as JSON", () => {
    expect(JSON.parse(makeReceipt(facts).json)).toMatchObject({
      order_id: "ord_1",
      total: "20.00",
      items: [{ product_id: "PROD-001", quantity: 2, unit_price: "10.00", line_total: "20.00" }],
    });
  });

  it("… and as a page, in which what clients wrote is text", () => {
    const { page } = makeReceipt(facts);
    expect(page).toContain("20.00 EUR");
    expect(page).toContain("Chair &amp; table");
    expect(page).not.toContain("<script>");
  });

  it("is the same however often it is made", () => {
    expect(makeReceipt(facts)).toEqual(makeReceipt(structuredClone(facts)));
  });
});
