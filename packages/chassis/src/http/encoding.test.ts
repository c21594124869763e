import { expect, it } from "vitest";
import { pickEncoding } from "./encoding.ts";

it.each([
  [undefined, undefined],
  ["", undefined],
  ["gzip", "gzip"],
  ["gzip, deflate, br", "br"],
  ["br;q=0.5, gzip;q=0.8", "gzip"],
  ["br;q=0, gzip;q=0", undefined],
  ["*", "br"],
  ["*;q=0", undefined],
  ["br;q=0, *", "gzip"],
  ["identity", undefined],
  ["gzip;q=0.5, identity", undefined],
  ["GZIP", "gzip"],
  ["gzip;q=nonsense", undefined],
])("%j → %j", (accept, encoding) => {
  expect(pickEncoding(accept)).toBe(encoding);
});
