import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { escapeNonAscii } from "./ascii.ts";

it.each([
  [`/^(us|\u00b5s)$/.test("\u00b5s")`, true],
  [`/^[\u00b5\u20ac]$/.test("\u20ac")`, true],
  [`/^\u{1f600}$/u.test("\u{1f600}")`, true],
  [`"\u00e4\u{1f600}".length`, 3],
])("%s is ASCII, and means the same", (code, value) => {
  const escaped = escapeNonAscii(code);
  expect(code).toMatch(/[^\0-\x7f]/);
  expect(escaped).not.toMatch(/[^\0-\x7f]/);
  expect(runInNewContext(escaped)).toBe(value);
});
