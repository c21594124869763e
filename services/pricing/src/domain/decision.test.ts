import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Decision, type Hmac, isExpired, signDecision, verifyDecision } from "./decision.ts";
import { nowMs } from "./fixtures.test-support.ts";

const hmacOf =
  (secret: string): Hmac =>
  (text) =>
    createHmac("sha256", secret).update(text).digest("base64url");
const keys: Readonly<Record<string, Hmac>> = { k1: hmacOf("one"), k2: hmacOf("two") };
const findHmac = (keyId: string): Hmac | undefined => (Object.hasOwn(keys, keyId) ? keys[keyId] : undefined);

const decision: Decision = {
  productId: "concert-42-stalls",
  priceMinor: 1891,
  currency: "EUR",
  customer: { prime: true, segment: "", location: "DE-BE" },
  quantity: 2,
  requestedCurrency: undefined,
  policyVersion: 3,
  marketSequence: 17,
  listPriceMinor: undefined,
  issuedAtMs: nowMs,
  validUntilMs: nowMs + 300_000,
};

const text = fc.string({ unit: "grapheme", maxLength: 40 });
const anyDecision: fc.Arbitrary<Decision> = fc.record({
  productId: text,
  priceMinor: fc.maxSafeNat(),
  currency: fc.constantFrom("EUR", "JPY"),
  customer: fc.record({ prime: fc.boolean(), segment: text, location: text }),
  quantity: fc.integer({ min: 1, max: 1_000_000 }),
  requestedCurrency: fc.constantFrom(undefined, "EUR", "USD"),
  policyVersion: fc.nat(),
  marketSequence: fc.nat(),
  listPriceMinor: fc.option(fc.maxSafeNat(), { nil: undefined }),
  issuedAtMs: fc.nat(),
  validUntilMs: fc.nat(),
});

describe("a decision id", () => {
  it("says what was decided, under any of our keys", () => {
    fc.assert(
      fc.property(anyDecision, fc.constantFrom("k1", "k2"), (given, keyId) => {
        const token = signDecision(given, keyId, keys[keyId] ?? hmacOf(""));
        expect(verifyDecision(token, findHmac)).toEqual({ ok: true, decision: given });
        expect(token).toMatch(/^[\w.-]+$/);
      }),
    );
  });

  it("is short", () => {
    expect(signDecision(decision, "k1", hmacOf("one")).length).toBeLessThan(200);
  });

  it("is refused after any change of any character", () => {
    const token = signDecision(decision, "k1", hmacOf("one"));
    fc.assert(
      fc.property(fc.nat({ max: token.length - 1 }), fc.constantFrom(..."Aa0-_.z"), (index, character) => {
        fc.pre(token[index] !== character);
        expect(verifyDecision(token.slice(0, index) + character + token.slice(index + 1), findHmac).ok).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ["of a key that we do not have", signDecision(decision, "k9", hmacOf("one")), "unknown_key"],
    ["under another secret", signDecision(decision, "k1", hmacOf("two")), "forged"],
    ["cut off", signDecision(decision, "k1", hmacOf("one")).slice(0, -1), "forged"],
    ["of another version", `d0${signDecision(decision, "k1", hmacOf("one")).slice(2)}`, "malformed"],
    ["of nothing", "", "malformed"],
    ["of dots", "...", "malformed"],
    ["with more parts", `${signDecision(decision, "k1", hmacOf("one"))}.x`, "malformed"],
  ])("%s is refused", (_, token, code) => {
    expect(verifyDecision(token, findHmac)).toEqual({ ok: false, code });
  });

  it.each([Buffer.from("[1]").toString("base64url"), Buffer.from("{").toString("base64url")])(
    "signed over another layout (%s) is refused",
    (payload) => {
      const signed = `d1.k1.${payload}`;
      expect(verifyDecision(`${signed}.${hmacOf("one")(signed)}`, findHmac)).toEqual({ ok: false, code: "malformed" });
    },
  );

  it("may be used until it expires, that moment included", () => {
    expect(isExpired(decision, decision.validUntilMs)).toBe(false);
    expect(isExpired(decision, decision.validUntilMs + 1)).toBe(true);
  });
});
