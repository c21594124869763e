import type { RawPlan } from "@pricing-engine/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeToInstant } from "./local-time.ts";
import { checkPlan, rejectionReasons } from "./plan.ts";

const toInstant = makeToInstant("UTC");

function raw(change: { basePlan?: object; plan?: object; zone?: object; zones?: RawPlan["zones"] } = {}): RawPlan {
  const zone = { zone_id: "40", capacity: "243", price: "20.00", name: "Platea", numbered: "true", ...change.zone };
  return {
    basePlan: { base_plan_id: "291", sell_mode: "online", title: "Camela en concierto", ...change.basePlan },
    plan: {
      plan_id: "291",
      plan_start_date: "2021-06-30T21:00:00",
      plan_end_date: "2021-06-30T22:00:00",
      sell_from: "2020-07-01T00:00:00",
      sell_to: "2021-06-30T20:00:00",
      sold_out: "false",
      ...change.plan,
    },
    zones: change.zones ?? [zone],
  };
}

describe("checkPlan", () => {
  it("reads a plan", () => {
    expect(checkPlan(raw({ basePlan: { organizer_company_id: "2" } }), toInstant)).toEqual({
      kind: "plan",
      plan: {
        basePlanId: "291",
        planId: "291",
        title: "Camela en concierto",
        online: true,
        soldOut: false,
        organizerCompanyId: "2",
        start: "2021-06-30T21:00:00",
        end: "2021-06-30T22:00:00",
        startsAtMs: Date.UTC(2021, 5, 30, 21),
        endsAtMs: Date.UTC(2021, 5, 30, 22),
        sellFromMs: Date.UTC(2020, 6, 1),
        sellToMs: Date.UTC(2021, 5, 30, 20),
        zones: [{ zoneId: "40", name: "Platea", numbered: true, capacity: 243, priceHundredths: 2000 }],
      },
    });
  });

  it.each([
    ["20", 2000],
    ["20.5", 2050],
    ["0", 0],
    ["0.07", 7],
    [" 65.00 ", 6500],
    ["9999999999999.99", 999999999999999],
  ])("takes the price %j", (price, hundredths) => {
    const checked = checkPlan(raw({ zone: { price } }), toInstant);
    expect(checked.kind === "plan" && checked.plan.zones[0]?.priceHundredths).toBe(hundredths);
  });

  it("takes every price to the hundredth", () => {
    fc.assert(
      fc.property(
        fc.maxSafeNat().map((n) => n % 10 ** 15),
        (hundredths) => {
          const digits = String(hundredths).padStart(3, "0");
          const checked = checkPlan(raw({ zone: { price: `${digits.slice(0, -2)}.${digits.slice(-2)}` } }), toInstant);
          expect(checked.kind === "plan" && checked.plan.zones[0]?.priceHundredths).toBe(hundredths);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it("takes no zones, capacity 0, an offline plan and one that ends when it starts", () => {
    const same = { plan_end_date: "2021-06-30T21:00:00" };
    for (const change of [
      { zones: [] },
      { zone: { capacity: "0" } },
      { basePlan: { sell_mode: "offline" } },
      { plan: same },
    ]) {
      expect(checkPlan(raw(change), toInstant).kind).toBe("plan");
    }
  });

  it.each([
    ["identity_missing", { basePlan: { base_plan_id: "" } }],
    ["identity_missing", { plan: { plan_id: "  " } }],
    ["title_missing", { basePlan: { title: "" } }],
    ["text_invalid", { basePlan: { title: "a\0b" } }],
    ["text_invalid", { plan: { plan_id: "\ud800" } }],
    ["text_invalid", { basePlan: { title: "x".repeat(1001) } }],
    ["sell_mode_invalid", { basePlan: { sell_mode: "maybe" } }],
    ["date_missing", { plan: { plan_start_date: "" } }],
    ["date_missing", { plan: { plan_end_date: "" } }],
    ["date_invalid", { plan: { plan_start_date: "2021-09-31T20:00:00" } }],
    ["date_invalid", { plan: { sell_to: "2021-09-31T19:50:00" } }],
    ["date_invalid", { plan: { plan_end_date: "tomorrow" } }],
    ["date_invalid", { plan: { plan_start_date: "0001-01-01T00:00:00+14:00" } }],
    ["date_invalid", { plan: { plan_end_date: "9999-12-31T23:59:59-01:00" } }],
    ["date_invalid", { plan: { sell_from: "0001-01-01T00:00:00+00:01" } }],
    ["ends_before_start", { plan: { plan_end_date: "2021-06-30T20:59:59" } }],
    ["price_missing", { zone: { price: "" } }],
    ["price_invalid", { zone: { price: "-1" } }],
    ["price_invalid", { zone: { price: "1.234" } }],
    ["price_invalid", { zone: { price: "1,50" } }],
    ["price_invalid", { zone: { price: "1e3" } }],
    ["price_invalid", { zone: { price: "NaN" } }],
    ["capacity_missing", { zone: { capacity: "" } }],
    ["capacity_invalid", { zone: { capacity: "-1" } }],
    ["capacity_invalid", { zone: { capacity: "2.5" } }],
    ["capacity_invalid", { zone: { capacity: "2147483648" } }],
    ["flag_invalid", { zone: { numbered: "perhaps" } }],
    ["zone_id_missing", { zone: { zone_id: "" } }],
    ["too_many_zones", { zones: Array.from({ length: 2001 }, () => ({ zone_id: "1", capacity: "1", price: "1" })) }],
  ])("refuses with %s: %j", (reason, change) => {
    expect(checkPlan(raw(change), toInstant)).toMatchObject({ kind: "rejected", reason });
  });

  it("never throws, and what it says can be stored", () => {
    const record = fc.dictionary(
      fc.constantFrom(
        "base_plan_id",
        "title",
        "sell_mode",
        "plan_id",
        "plan_start_date",
        "price",
        "capacity",
        "zone_id",
      ),
      fc.string({ unit: "binary" }),
    );
    fc.assert(
      fc.property(fc.record({ basePlan: record, plan: record, zones: fc.array(record, { maxLength: 3 }) }), (any) => {
        const checked = checkPlan(raw({ basePlan: any.basePlan, plan: any.plan, zones: any.zones }), toInstant);
        if (checked.kind === "plan") return true;
        return (
          rejectionReasons.includes(checked.reason) && !checked.detail.includes("\0") && checked.detail.isWellFormed()
        );
      }),
    );
  });
});
