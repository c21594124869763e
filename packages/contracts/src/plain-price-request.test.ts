import fc from "fast-check";
import { expect, it } from "vitest";
import { findPlainPriceRequest } from "./plain-price-request.ts";
import { priceRequest } from "./price.ts";

const field = fc.oneof(
  fc.string({ maxLength: 300 }),
  fc.constantFrom(
    "a",
    "EUR",
    "eur",
    "",
    "x".repeat(255),
    "x".repeat(256),
    null,
    true,
    false,
    1,
    0,
    1.5,
    1_000_001,
    {},
    [],
  ),
);
const body = fc.record(
  {
    product_id: field,
    user_location: field,
    is_prime_member: field,
    segment: field,
    quantity: field,
    currency: field,
    extra: field,
  },
  { requiredKeys: [] },
);

it("takes nothing that the schema refuses, and as the schema takes it", () => {
  fc.assert(
    fc.property(body, (value) => {
      const plain = findPlainPriceRequest(value);
      if (plain === undefined) return;
      const { extra: _ignored, ...known } = plain as typeof plain & { extra?: unknown };
      expect(priceRequest.parse(value)).toEqual(known);
    }),
    { numRuns: 5_000 },
  );
});

it("takes the plain case", () => {
  const request = {
    product_id: "a",
    quantity: 2,
    is_prime_member: true,
    currency: "EUR",
    segment: "b",
    user_location: "c",
  };
  expect(findPlainPriceRequest(request)).toEqual(request);
});

it.each([
  undefined,
  null,
  [],
  "text",
  1,
  {},
  { product_id: "a", more: { deep: 1 } },
  JSON.parse('{"product_id":"a","__proto__":1}'),
])("leaves %j to the schema", (value) => {
  expect(findPlainPriceRequest(value)).toBeUndefined();
});
