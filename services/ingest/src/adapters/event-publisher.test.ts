import { catalogEventMessage, type RawPlan } from "@pricing-engine/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeToInstant } from "../domain/local-time.ts";
import { type PollFacts, toCatalogEvent } from "../domain/read-feed.ts";
import { digest } from "./digest.ts";
import { encodeEvent } from "./event-publisher.ts";

const toInstant = makeToInstant("Europe/Madrid");
const facts: PollFacts = {
  source: "fever",
  sequence: 7,
  observedAt: "2026-01-02T03:04:05.006Z",
  products: true,
  currency: "EUR",
};

/** Mostly what a feed should say, and now and then anything. */
function value(...good: fc.Arbitrary<string>[]): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 60, arbitrary: fc.oneof(...good) },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 1100 }) },
    { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 300 }) },
  );
}

const id = value(fc.nat().map(String), fc.string({ unit: "grapheme", minLength: 1, maxLength: 255 }));
const text = value(fc.string({ unit: "grapheme", maxLength: 300 }));
const flag = value(fc.constantFrom("true", "false", "0", "1", "", " True "));
const time = value(
  fc
    .date({ min: new Date("0001-01-02T00:00:00Z"), max: new Date("9999-12-30T00:00:00Z"), noInvalidDate: true })
    .map((date) => date.toISOString().slice(0, 19)),
  fc.constantFrom("2021-06-30T21:00:00", "2021-09-31T20:00:00", "2021-03-28T02:30:00"),
);
const zone = fc.record({
  zone_id: id,
  name: text,
  numbered: flag,
  capacity: value(fc.nat().map(String), fc.constantFrom("0", "2147483647")),
  price: value(
    fc.nat().map((cents) => (cents / 100).toFixed(2)),
    fc.constantFrom("0", "9999999999999.99", "20.5"),
  ),
});
const rawPlan: fc.Arbitrary<RawPlan> = fc.record({
  basePlan: fc.record(
    {
      base_plan_id: id,
      sell_mode: value(fc.constantFrom("online", "offline")),
      title: value(fc.string({ unit: "grapheme", minLength: 1, maxLength: 300 })),
      organizer_company_id: id,
    },
    { requiredKeys: ["base_plan_id", "sell_mode", "title"] },
  ),
  plan: fc.record(
    { plan_id: id, plan_start_date: time, plan_end_date: time, sell_from: time, sell_to: time, sold_out: flag },
    { requiredKeys: ["plan_id", "plan_start_date", "plan_end_date"] },
  ),
  zones: fc.array(zone, { maxLength: 4 }),
});

describe("encodeEvent", () => {
  it("makes nothing that the schema of its readers refuses", () => {
    const kinds = new Map<string, number>();
    fc.assert(
      fc.property(rawPlan, (raw) => {
        const read = toCatalogEvent(raw, facts, { digest, toInstant });
        const { event } = read;
        kinds.set(event.kind, (kinds.get(event.kind) ?? 0) + 1);
        const message: unknown = JSON.parse(Buffer.from(encodeEvent(read)).toString("utf8"));
        expect(catalogEventMessage.parse(message)).toEqual({
          id: `${event.id}.7`,
          type: "catalog-event",
          version: 1,
          occurredAt: facts.observedAt,
          tenantId: "default",
          data: JSON.parse(JSON.stringify(event)) as unknown,
        });
      }),
      { numRuns: 2_000 },
    );
    // Of both kinds enough that the rule is one for each.
    expect(kinds.get("plan")).toBeGreaterThan(100);
    expect(kinds.get("rejected")).toBeGreaterThan(100);
  });

  it("fits into a message of Kafka, whatever a refused plan says", () => {
    const record = Object.fromEntries(Array.from({ length: 64 }, (_, n) => [`name-${n}`, "\u0001€".repeat(2_000)]));
    const raw: RawPlan = {
      basePlan: { base_plan_id: "7", ...record },
      plan: { plan_id: "8", ...record },
      zones: [record],
    };
    const read = toCatalogEvent(raw, facts, { digest, toInstant });
    expect(read.event).toMatchObject({ kind: "rejected", fragment: { basePlan: { base_plan_id: "7" } } });
    expect(Buffer.byteLength(encodeEvent(read))).toBeLessThan(1_000_000);
  });
});
