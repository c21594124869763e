import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { CatalogEventData, RawPlan } from "@pricing-engine/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeToInstant } from "../domain/local-time.ts";
import { toCatalogEvent } from "../domain/read-feed.ts";
import { makeDecoder } from "./decode.ts";
import { FeedFault } from "./feed-reader.ts";
import { formats } from "./formats.ts";

const digest = (text: string) => createHash("sha256").update(text).digest("hex");
const sample = (name: string) => readFileSync(new URL(`../../../../examples/feeds/${name}`, import.meta.url), "utf8");

function read(text: string, format: keyof typeof formats = "plan-list-xml", pieces: number[] = []) {
  const plans: RawPlan[] = [];
  const reader = formats[format]((plan) => plans.push(plan));
  try {
    let from = 0;
    for (const size of pieces) {
      reader.write(text.slice(from, from + size));
      from += size;
    }
    reader.write(text.slice(from));
    reader.end();
    return { plans, fault: undefined };
  } catch (error) {
    if (!(error instanceof FeedFault)) throw error;
    return { plans, fault: error.kind };
  }
}

const facts = {
  source: "fever",
  sequence: 1,
  observedAt: "2026-01-01T00:00:00.000Z",
  products: false,
  currency: "EUR",
};
const deps = { digest, toInstant: makeToInstant("UTC") };
const summary = (event: CatalogEventData) =>
  event.kind === "plan"
    ? [event.plan.basePlanId, event.plan.planId, event.plan.online, event.plan.zones.length, event.plan.end]
    : [event.fragment.basePlan.base_plan_id, event.fragment.plan.plan_id, event.reason];

describe("the samples", () => {
  it.each([
    [
      "event-list-1.xml",
      [
        ["291", "291", true, 3, "2021-06-30T22:00:00"],
        ["322", "1642", true, 1, "2021-02-10T21:30:00"],
        ["1591", "1642", true, 2, "2021-07-31T21:00:00"],
      ],
    ],
    [
      "event-list-2.xml",
      [
        ["291", "291", true, 3, "2021-06-30T22:00:00"],
        ["1591", "1642", true, 2, "2021-07-31T21:20:00"],
        ["444", "1642", "date_invalid"],
      ],
    ],
    [
      "plan-list.xml",
      [
        ["291", "291", true, 3, "2021-06-30T22:00:00"],
        ["1591", "1642", true, 1, "2021-07-31T21:20:00"],
      ],
    ],
  ])("%s, under either name", (name, expected) => {
    for (const format of ["plan-list-xml", "event-list-xml"] as const) {
      const { plans, fault } = read(sample(name), format);
      expect(fault).toBeUndefined();
      expect(plans.map((plan) => summary(toCatalogEvent(plan, facts, deps).event))).toEqual(expected);
    }
  });

  it("has other ids for one plan_id under several base plans, and the same ones in each format", () => {
    const ids = (name: string) => read(sample(name)).plans.map((plan) => toCatalogEvent(plan, facts, deps).event.id);
    const [camela, pantomima, morancos] = ids("event-list-1.xml");
    expect(new Set([camela, pantomima, morancos]).size).toBe(3);
    expect(ids("event-list-2.xml").slice(0, 2)).toEqual([camela, morancos]);
    expect(ids("plan-list.xml")).toEqual([camela, morancos]);
    // Written down: these ids are in clients' bookmarks.
    expect(camela).toMatchInlineSnapshot(`"e8ee9ef7-2077-898c-9ca8-9277e522c289"`);
  });

  it("reads the same however the document is cut", () => {
    const text = sample("event-list-2.xml");
    const whole = read(text);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 40 }), (pieces) => {
        expect(read(text, "plan-list-xml", pieces)).toEqual(whole);
      }),
      { numRuns: 50 },
    );
  });

  it("keeps the plans before the place where a document ends", () => {
    const text = sample("event-list-1.xml");
    const whole = read(text).plans;
    for (let length = 0; length < text.length; length += 7) {
      const { plans, fault } = read(text.slice(0, length));
      expect(fault).toMatch(/truncated|not_a_feed/);
      expect(plans).toEqual(whole.slice(0, plans.length));
    }
    expect(read(text.slice(0, -12)).plans).toHaveLength(3);
  });
});

const plan = (inner: string) =>
  `<planList><output><base_plan base_plan_id="1" title="a" sell_mode="online">${inner}</base_plan></output></planList>`;

describe("documents that are none", () => {
  it.each([
    ["", "not_a_feed"],
    ["   ", "not_a_feed"],
    ["<html><body>Busy</body></html>", "not_a_feed"],
    ["<!DOCTYPE html><html><body>Busy</body></html>", "doctype"],
    ["Service unavailable", "not_a_feed"],
    ['{"error": "busy"}', "not_a_feed"],
    [`<!DOCTYPE planList [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>${plan('<plan plan_id="&b;"/>')}`, "doctype"],
    [plan('<plan plan_id="&unknown;"/>'), "malformed"],
    [plan("</nope>"), "malformed"],
    [plan('<plan plan_id="1" plan_id="2"/>'), "malformed"],
    [plan("<a>".repeat(20)), "too_deep"],
    [plan(`<${"n".repeat(200)}/>`), "too_large"],
    [plan(`<plan ${Array.from({ length: 65 }, (_, index) => `a${index}="1"`).join(" ")}/>`), "too_large"],
    [plan(`<plan plan_id="${"x".repeat(3_000_000)}"/>`), "too_large"],
    [plan(`<!-- ${"x".repeat(3_000_000)} -->`), "too_large"],
  ])("%#", (text, fault) => {
    expect(read(text).fault).toBe(fault);
  });

  it("passes over elements that it does not know, at any place", () => {
    const text = plan(
      '<venue><plan plan_id="hidden"/></venue><plan plan_id="1"><note/><zone zone_id="1"><seat><zone zone_id="no"/></seat></zone></plan><plan plan_id="2"/>',
    ).replace("<output>", "<meta><base_plan><plan plan_id='no'/></base_plan></meta><output>");
    const { plans, fault } = read(text);
    expect(fault).toBeUndefined();
    expect(plans.map((each) => [each.plan.plan_id, each.zones.length])).toEqual([
      ["1", 1],
      ["2", 0],
    ]);
  });
});

it("takes attributes by whatever name a provider gives them", () => {
  const { plans } = read(plan('<plan plan_id="1" constructor="Gaudí"/>'));
  expect(plans.map((each) => each.plan)).toEqual([{ plan_id: "1", constructor: "Gaudí" }]);
});

describe("json", () => {
  const text = JSON.stringify({
    base_plans: [
      {
        base_plan_id: 1,
        title: "a",
        sell_mode: "online",
        plans: [{ plan_id: 7, zones: [{ zone_id: 1, price: 20.5, capacity: 3, numbered: true }] }, { plan_id: 8 }],
      },
      { base_plan_id: 2, title: "b", sell_mode: "offline", plans: [{ plan_id: 7, plan_start_date: null }] },
    ],
  });

  it("reads plans, however it is cut", () => {
    const whole = read(text, "json");
    expect(whole.fault).toBeUndefined();
    expect(whole.plans.map(({ basePlan, plan: each }) => `${basePlan.base_plan_id}/${each.plan_id}`)).toEqual([
      "1/7",
      "1/8",
      "2/7",
    ]);
    expect(whole.plans[0]?.zones).toEqual([{ zone_id: "1", price: "20.5", capacity: "3", numbered: "true" }]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 20 }), (pieces) => {
        expect(read(text, "json", pieces)).toEqual(whole);
      }),
      { numRuns: 50 },
    );
  });

  it("finds the plans behind much else", () => {
    const { plans, fault } = read(`{"about": "${"x".repeat(70_000)}", ${text.slice(1)}`, "json");
    expect([plans.length, fault]).toEqual([3, undefined]);
  });

  it("leaves out ids that are no exact numbers", () => {
    const { plans } = read(
      '{"base_plans": [{"base_plan_id": 12345678901234567891, "plans": [{"plan_id": "12345678901234567891"}]}]}',
      "json",
    );
    expect(plans).toEqual([{ basePlan: {}, plan: { plan_id: "12345678901234567891" }, zones: [] }]);
  });

  it.each([
    [text.slice(0, -3), "truncated"],
    ["", "not_a_feed"],
    ["<html></html>", "not_a_feed"],
    ["{}", "not_a_feed"],
    [`{"base_plans": [${"[".repeat(20)}`, "too_deep"],
    [`{"base_plans": [{"title": "${"x".repeat(9_000_000)}"}]}`, "too_large"],
    ['{"base_plans": [{"title": }]}', "malformed"],
  ])("%#", (document, fault) => {
    expect(read(document, "json").fault).toBe(fault);
  });
});

describe("encodings", () => {
  const decode = (bytes: Uint8Array, contentType?: string, step = 3) => {
    const decoder = makeDecoder(contentType);
    let text = "";
    for (let at = 0; at < bytes.length; at += step) text += decoder.write(bytes.subarray(at, at + step));
    return text + decoder.end();
  };
  const xml = (encoding: string) => `<?xml version="1.0" encoding="${encoding}"?><a t="Ñandú"/>`;

  it("takes the mark, then the content type, then the declaration, then UTF-8", () => {
    const latin = Buffer.from(xml("ISO-8859-1"), "latin1");
    expect(decode(latin)).toBe(xml("ISO-8859-1"));
    expect(decode(latin, "text/xml; charset=iso-8859-1")).toBe(xml("ISO-8859-1"));
    expect(decode(Buffer.from(`\ufeff${xml("UTF-16")}`, "utf16le"))).toBe(xml("UTF-16"));
    expect(decode(Buffer.from(xml("UTF-8")))).toBe(xml("UTF-8"));
    expect(decode(Buffer.from("ñ"))).toBe("ñ");
  });

  it.each([
    [Buffer.from(xml("UTF-8"), "latin1"), undefined],
    [Buffer.from(xml("EBCDIC")), undefined],
    [Buffer.from("a"), "text/xml; charset=shift_jis"],
    [Buffer.from("ñ").subarray(0, 1), undefined],
  ])("refuses %#", (bytes, contentType) => {
    expect(() => decode(bytes, contentType)).toThrow(FeedFault);
  });
});
