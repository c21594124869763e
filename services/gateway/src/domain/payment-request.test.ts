import { paymentRequest } from "@pricing-engine/contracts";
import fc from "fast-check";
import { expect, it } from "vitest";
import { findPlainPayment } from "./payment-request.ts";

const id = "4A7901B8-7D26-4D9D-AA19-4DC1C7CF60B3";
const field = fc.oneof(
  fc.uuid(),
  fc.string({ maxLength: 40 }),
  fc.double(),
  fc.integer({ min: -5, max: 1_100_000_000 }).map((minor) => minor / 100),
  fc.constantFrom(id, `{${id}}`, id.slice(1), "", null, true, 0, 0.1 + 0.2, 10_000_000.01, 1e308, {}, []),
);
const body = fc.record({ correlationId: field, amount: field, extra: field }, { requiredKeys: [] });

it("takes nothing that the schema refuses, and as the schema takes it", () => {
  fc.assert(
    fc.property(body, (value) => {
      const plain = findPlainPayment(value);
      if (plain !== undefined) expect(paymentRequest.parse(value)).toEqual(plain);
    }),
    { numRuns: 5_000 },
  );
});

it("takes the plain case, the id in lower case", () => {
  expect(findPlainPayment({ correlationId: id, amount: 19.9, more: 1 })).toEqual({
    correlationId: id.toLowerCase(),
    amount: 19.9,
  });
});

it.each([
  undefined,
  null,
  [],
  "text",
  {},
  { correlationId: id, amount: "19.90" },
  { correlationId: id, amount: 1, more: { deep: 1 } },
  JSON.parse(`{"correlationId":"${id}","amount":1,"__proto__":1}`),
])("leaves %j to the schema", (value) => {
  expect(findPlainPayment(value)).toBeUndefined();
});
