import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findPaymentAmountMinor, paymentRequest, paymentsSummaryQuery, toPaymentAmount } from "./payment.ts";

const id = "4A7901B8-7d26-4d9d-aa19-4dc1c7cf60b3";

describe("paymentRequest", () => {
  it.each([0.01, 1, 19.9, 20.05, 0.07, 10_000_000, 9_999_999.99])("takes %d", (amount) => {
    expect(paymentRequest.parse({ correlationId: id, amount, more: true })).toEqual({
      correlationId: id.toLowerCase(),
      amount,
    });
  });

  it.each([
    0,
    -0.01,
    0.001,
    19.999,
    10_000_000.01,
    1e308,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    "19.90",
    null,
    0.1 + 0.2,
  ])("refuses %s as an amount", (amount) => {
    const result = paymentRequest.safeParse({ correlationId: id, amount });
    expect(result.error?.issues[0]?.path).toEqual(["amount"]);
  });

  it.each(["", "x", id.replaceAll("-", ""), `{${id}}`, `${id}0`, ` ${id}`, 7])(
    "refuses %s as an id",
    (correlationId) => {
      const result = paymentRequest.safeParse({ correlationId, amount: 1 });
      expect(result.error?.issues[0]?.path).toEqual(["correlationId"]);
    },
  );

  it("turns every amount of whole hundredths into them and back", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000_000 }), (minor) => {
        const amount = toPaymentAmount(minor);
        expect(JSON.parse(JSON.stringify(amount))).toBe(amount);
        expect(findPaymentAmountMinor(amount)).toBe(minor);
      }),
    );
  });
});

describe("paymentsSummaryQuery", () => {
  it("rounds what is finer than a millisecond inwards", () => {
    const ms = Date.parse("2026-01-31T12:00:00.123Z");
    const finer = "2026-01-31T12:00:00.1230001Z";
    expect(paymentsSummaryQuery.parse({ from: finer, to: finer })).toEqual({ from: ms + 1, to: ms });
    expect(paymentsSummaryQuery.parse({ from: "2026-01-31T13:00:00.1230+01:00" })).toEqual({ from: ms });
  });

  it.each(["", "yesterday", "2026-01-31", "2026-01-31T12:00:00", "2026-02-30T12:00:00Z", "1769860800000"])(
    "refuses %s",
    (from) => {
      expect(paymentsSummaryQuery.safeParse({ from }).error?.issues[0]?.path).toEqual(["from"]);
    },
  );

  it("refuses a window that ends before it begins, and what it does not know", () => {
    const window = (from: string, to: string) => paymentsSummaryQuery.safeParse({ from, to }).error?.issues[0]?.path;
    expect(window("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z")).toBeUndefined();
    expect(window("2026-01-31T12:00:00Z", "2026-01-31T12:59:59+01:00")).toEqual(["to"]);
    expect(paymentsSummaryQuery.safeParse({ form: "2026-01-31T12:00:00Z" }).success).toBe(false);
  });
});
