import { expect, test } from "vitest";
import { findKeysProblem, rotateSigningKeys } from "./signing-keys.ts";

const key = (id: string) => ({ id, secret: "c2VjcmV0" });

test("a rotation signs with the fresh key and keeps the one before it", () => {
  const first = rotateSigningKeys({ keys: [] }, key("a"));
  const second = rotateSigningKeys(first, key("b"));
  const third = rotateSigningKeys(second, key("c"));
  expect([first, second, third].map(({ keys }) => keys.map(({ id }) => id))).toEqual([["a"], ["b", "a"], ["c", "b"]]);
});

const good = { id: "a", secret: Buffer.alloc(16).toString("base64") };

test.each([
  [undefined, "is missing"],
  ["", "is missing"],
  ["{", 'is not {"keys": [{"id", "secret"}]}'],
  ["[]", 'is not {"keys": [{"id", "secret"}]}'],
  [JSON.stringify({ keys: [{ id: "a" }] }), 'is not {"keys": [{"id", "secret"}]}'],
  [JSON.stringify({ keys: [] }), "has no key"],
  [JSON.stringify({ keys: [{ ...good, id: "a b" }] }), "has an id that is not 1 to 32 letters, digits, - or _"],
  [JSON.stringify({ keys: [good, key("b")] }), "has a key that is not base64 of at least 16 bytes"],
  [
    JSON.stringify({ keys: [{ id: "a", secret: "-_".repeat(16) }] }),
    "has a key that is not base64 of at least 16 bytes",
  ],
  [JSON.stringify({ keys: [good, good] }), "has two keys of one id"],
  [JSON.stringify({ keys: [good, { ...good, id: "b" }] }), undefined],
])("with %j nobody signs: it %s", (text, problem) => {
  expect(findKeysProblem(text)).toBe(problem);
});
