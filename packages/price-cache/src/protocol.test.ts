import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { contextKey, type PriceContext } from "./context-key.ts";
import { encodeHeader, encodeMeta, encodeNumber, findBody } from "./protocol.ts";
import { decodeTicket, encodeTicket, flightKey } from "./ticket.ts";

const text = fc.string({ unit: "grapheme", maxLength: 4 }).filter((value) => !value.includes("\0"));
const context: fc.Arbitrary<PriceContext> = fc.record(
  {
    product_id: text,
    user_location: text,
    segment: text,
    is_prime_member: fc.boolean(),
    quantity: fc.integer({ min: 1, max: 12 }),
    currency: fc.constantFrom("EUR", "USD"),
  },
  { requiredKeys: ["product_id"] },
);

const withDefaults = ({ quantity = 1, is_prime_member = false, ...others }: PriceContext) => ({
  ...others,
  quantity,
  is_prime_member,
});

describe("contextKey", () => {
  it("is equal exactly when all that the price depends on is equal", () => {
    fc.assert(
      fc.property(context, context, (a, b) => {
        const same = JSON.stringify(sorted(withDefaults(a))) === JSON.stringify(sorted(withDefaults(b)));
        expect(contextKey(a) === contextKey(b)).toBe(same);
      }),
    );
  });

  it.each<[string, PriceContext, PriceContext]>([
    ["member and guest", { product_id: "a", is_prime_member: true }, { product_id: "a" }],
    ["quantities", { product_id: "a", quantity: 2 }, { product_id: "a", quantity: 3 }],
    ["currencies", { product_id: "a", currency: "EUR" }, { product_id: "a", currency: "USD" }],
    ["an empty and an absent place", { product_id: "a", user_location: "" }, { product_id: "a" }],
    ["place and segment", { product_id: "a", user_location: "x" }, { product_id: "a", segment: "x" }],
  ])("tells %s apart", (_name, a, b) => {
    expect(contextKey(a)).not.toBe(contextKey(b));
  });
});

describe("findBody", () => {
  const generation = "0123456789abcdef";
  const read = { policy: 3, marker: 7, entry: { generation, policy: 3, sequence: 7 } };
  const build = ({ policy, marker, entry }: typeof read) => ({
    meta: Buffer.from(encodeMeta(generation, encodeNumber(policy))),
    marker: Buffer.from(encodeNumber(marker)),
    entry: Buffer.from(
      `${encodeHeader(entry.generation, encodeNumber(entry.policy), encodeNumber(entry.sequence))}{"price":"1.00"}`,
    ),
  });

  it("gives the stored bytes when meta, marker and entry agree", () => {
    expect(findBody(build(read))?.toString()).toBe('{"price":"1.00"}');
  });

  it.each([
    ["another generation", { ...read, entry: { ...read.entry, generation: "fedcba9876543210" } }],
    ["a newer policy", { ...read, policy: 4 }],
    ["an older policy", { ...read, policy: 2 }],
    ["a raised marker", { ...read, marker: 8 }],
  ])("refuses %s", (_name, changed) => {
    expect(findBody(build(changed))).toBeUndefined();
  });

  it.each(["meta", "marker", "entry"] as const)("refuses when %s is lost", (part) => {
    expect(findBody({ ...build(read), [part]: null })).toBeUndefined();
  });

  it("refuses an entry that is cut short", () => {
    const whole = build(read);
    expect(findBody({ ...whole, entry: whole.entry.subarray(0, 50) })).toBeUndefined();
  });
});

describe("tickets", () => {
  const ticket = {
    productId: "a",
    contextKey: contextKey({ product_id: "a" }),
    generation: "0123456789abcdef",
    policyVersion: encodeNumber(3),
    marker: encodeNumber(7),
    settling: false,
    issuedMs: 5,
  };

  it.each([
    ["as they are", ticket],
    ["of a process that has just found Redis again", { ...ticket, settling: true }],
    ["without a marker", { ...ticket, marker: undefined, settling: true }],
  ])("survive the way to pricing: %s", (_name, ticket) => {
    expect(decodeTicket(encodeTicket(ticket), { product_id: "a" }, 5)).toEqual(ticket);
  });

  it("share a computation only when Redis tells what was shown before them", () => {
    expect(flightKey({ ...ticket, issuedMs: 9 })).toBe(flightKey(ticket));
    expect(flightKey({ ...ticket, marker: encodeNumber(8) })).not.toBe(flightKey(ticket));
    expect(flightKey({ ...ticket, generation: undefined })).toBeUndefined();
    expect(flightKey({ ...ticket, settling: true })).toBeUndefined();
  });

  it.each([undefined, "", "x", "0123456789abcdef:3:", "0123456789ABCDEF:0000000000000003:"])("refuse %j", (text) => {
    expect(decodeTicket(text, { product_id: "a" }, 0)).toBeUndefined();
  });
});

function sorted(value: object): [string, unknown][] {
  return Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
}
