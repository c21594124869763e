import { expect, test } from "vitest";
import { rotateSigningKeys } from "./signing-keys.ts";

const key = (id: string) => ({ id, secret: "c2VjcmV0" });

test("a rotation signs with the fresh key and keeps the one before it", () => {
  const first = rotateSigningKeys({ keys: [] }, key("a"));
  const second = rotateSigningKeys(first, key("b"));
  const third = rotateSigningKeys(second, key("c"));
  expect([first, second, third].map(({ keys }) => keys.map(({ id }) => id))).toEqual([["a"], ["b", "a"], ["c", "b"]]);
});
