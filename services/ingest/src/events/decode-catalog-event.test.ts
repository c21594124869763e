import { catalogEventMessage, catalogLimits } from "@pricing-engine/contracts";
import { decodeEnvelope } from "@pricing-engine/kafka";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeCatalogEvent } from "./decode-catalog-event.ts";

const zone = { zoneId: "40", name: "Platea", numbered: true, capacity: 240, priceHundredths: 2_000 };
const plan = {
  basePlanId: "291",
  planId: "291",
  title: "Camela en concierto",
  online: true,
  soldOut: false,
  start: "2021-06-30T21:00:00",
  end: "2021-06-30T22:00:00",
  startsAtMs: 1_625_079_600_000,
  endsAtMs: 1_625_083_200_000,
};
const data = {
  kind: "plan",
  id: "3f333df6-90a4-4fda-8dd3-9485d27cee36",
  source: "fever",
  sequence: 7,
  contentHash: "abc",
  observedAt: "2026-01-02T03:04:05.006Z",
  products: true,
};
const rejected = {
  ...data,
  kind: "rejected",
  reason: "date_invalid",
  detail: "",
  fragment: { basePlan: {}, plan: {}, zones: [] },
};
const envelope = {
  id: "1",
  type: "catalog-event",
  version: 1,
  occurredAt: "2026-01-02T03:04:05.006Z",
  tenantId: "default",
};

const bytes = (message: unknown): Buffer => Buffer.from(JSON.stringify(message));
const withZones = (zones: unknown): unknown => ({ ...envelope, data: { ...data, plan: { ...plan, zones } } });

/** What a decoder makes of a message: the event, or why it is none. */
function outcomeOf(decode: (value: Buffer) => unknown, value: Buffer): unknown {
  try {
    return { event: decode(value) };
  } catch (error) {
    const { code, detail, fieldErrors } = error as { code?: unknown; detail?: unknown; fieldErrors?: unknown };
    if (code === undefined) throw error;
    return { code, detail, fieldErrors };
  }
}

function expectAsBySchema(message: unknown): void {
  const value = bytes(message);
  const bySchema = outcomeOf((each) => decodeEnvelope(catalogEventMessage, each).data, value);
  expect(outcomeOf(decodeCatalogEvent, value)).toEqual(bySchema);
}

describe("decoding a catalog event", () => {
  it("takes a plan with its zones", () => {
    const zones = [zone, { ...zone, zoneId: "38", name: "" }];
    expect(decodeCatalogEvent(bytes(withZones(zones)))).toEqual({ ...data, plan: { ...plan, zones } });
  });

  it("is of the schema's mind, about every value of a zone's fields", () => {
    const long = "x".repeat(catalogLimits.labelLength + 1);
    const odd = [null, true, 0, -0, -1, 1.5, 2 ** 31, 2 ** 53, 1e308, "", "a", "\0", "\ud800", long, {}, [], [1]];
    for (const field of Object.keys(zone)) {
      for (const value of odd) expectAsBySchema(withZones([zone, { ...zone, [field]: value }]));
      const { [field as keyof typeof zone]: _dropped, ...rest } = zone;
      expectAsBySchema(withZones([rest]));
      expectAsBySchema(withZones([{ ...rest, else: 1 }]));
    }
    expectAsBySchema(withZones([{ ...zone, else: 1 }]));
  });

  it("is of the schema's mind, about everything around the zones", () => {
    const zones = [zone];
    for (const message of [
      withZones(undefined),
      withZones({}),
      withZones(Array.from({ length: catalogLimits.zones }, () => zone)),
      withZones(Array.from({ length: catalogLimits.zones + 1 }, () => zone)),
      { ...envelope, data: { ...data, plan: { ...plan, title: 1, zones } } },
      { ...envelope, data: { ...data, plan: { ...plan, else: 1, zones } } },
      { ...envelope, data: { ...data, products: "yes", plan: { ...plan, zones } } },
      { ...envelope, data: { ...data, kind: "else", plan: { ...plan, zones } } },
      { ...envelope, data: rejected },
      { ...envelope, data: { ...rejected, plan: { ...plan, zones } } },
      { ...envelope, type: "else", data: { ...data, plan: { ...plan, zones } } },
      { ...envelope, data: { plan: { zones } } },
      { data: { plan: { zones } } },
      [],
      null,
      "text",
    ]) {
      expectAsBySchema(message);
    }
  });

  it("is of the schema's mind, whatever the zones are", () => {
    const value = fc.oneof(
      fc.string(),
      fc.string({ unit: "binary" }),
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
    );
    const good = fc.record({
      zoneId: fc.string({ minLength: 1, maxLength: 260 }),
      name: fc.string({ maxLength: 1_010 }),
      numbered: fc.boolean(),
      capacity: fc.integer({ min: -1 }),
      priceHundredths: fc.maxSafeInteger(),
    });
    const any = fc.oneof(
      { weight: 8, arbitrary: good },
      { weight: 1, arbitrary: fc.dictionary(fc.constantFrom(...Object.keys(zone), "else"), value) },
    );
    fc.assert(
      fc.property(fc.array(any, { maxLength: 5 }), (zones) => expectAsBySchema(withZones(zones))),
      { numRuns: 500 },
    );
  });
});
