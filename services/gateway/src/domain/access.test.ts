import { expect, it } from "vitest";
import { allows, parseBearer } from "./access.ts";

it.each([
  ["Bearer pe_abc", "pe_abc"],
  ["bearer  pe_abc ", "pe_abc"],
  ["Basic pe_abc", undefined],
  ["Bearer", undefined],
  ["Bearer a b", undefined],
  ["Bearer \u00e4", undefined],
  [undefined, undefined],
])("reads %j as %j", (header, key) => {
  expect(parseBearer(header)).toBe(key);
});

it("lets each role do what the ones below it may", () => {
  const roles = ["reader", "writer", "admin"] as const;
  const table = roles.map((role) => roles.map((needed) => allows(role, needed)));
  expect(table).toEqual([
    [true, false, false],
    [true, true, false],
    [true, true, true],
  ]);
});
