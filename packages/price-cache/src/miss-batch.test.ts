import fc from "fast-check";
import { expect, it } from "vitest";
import { decodeAnswers, encodeAnswers, encodeMisses } from "./miss-batch.ts";

const answer = fc.record({
  status: fc.constantFrom(200, 404, 422, 503),
  retryAfterSeconds: fc.option(fc.integer({ min: 0, max: 999_999 }), { nil: undefined }),
  body: fc.json().map((text) => Buffer.from(text)),
});

it("brings back answers as they were, byte for byte", () => {
  fc.assert(
    fc.property(fc.array(answer, { maxLength: 20 }), (answers) => {
      expect(decodeAnswers(encodeAnswers(answers), answers.length)).toEqual(answers);
    }),
  );
});

it("takes nothing that was cut short, or is of another number", () => {
  fc.assert(
    fc.property(fc.array(answer, { minLength: 1, maxLength: 5 }), fc.nat(), (answers, at) => {
      const bytes = encodeAnswers(answers);
      expect(decodeAnswers(bytes.subarray(0, at % bytes.length), answers.length)).toBeUndefined();
      expect(decodeAnswers(bytes, answers.length + 1)).toBeUndefined();
    }),
  );
});

it.each(["\n", "200\n", "200 \n", "200 -\n{}\n", "20 - {}\n", "200 x {}\n", "{}\n", "hello world and more\n"])(
  "takes no %j",
  (text) => {
    expect(decodeAnswers(Buffer.from(text), 1)).toBeUndefined();
  },
);

it("asks with the fields of a context alone", () => {
  const context = { product_id: "a", quantity: 2, more: "x" };
  expect(JSON.parse(encodeMisses([{ context, traceId: "t" }]).toString())).toEqual([
    { context: { product_id: "a", quantity: 2 }, traceId: "t" },
  ]);
});
