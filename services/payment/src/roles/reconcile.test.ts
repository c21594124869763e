import { describe, expect, it } from "vitest";
import { findWindow } from "./reconcile.ts";

const nowMs = Date.parse("2026-02-01T12:00:00Z");
const at = (text: string) => Date.parse(text);

describe("findWindow", () => {
  it.each([
    ["the last day, but for what is in the air", [], "2026-01-31T11:59:30Z", "2026-02-01T11:59:30Z", false],
    ["a day up to a time", ["--to", "2026-01-02T00:00:00Z"], "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", false],
    [
      "all since a time, with an offset",
      ["--from", "2026-01-01T01:00:00+01:00", "--repair"],
      "2026-01-01T00:00:00Z",
      "2026-02-01T11:59:30Z",
      true,
    ],
  ])("is %s", (_what, args, from, to, repair) => {
    expect(findWindow(args, nowMs)).toEqual({ fromMs: at(from), toMs: at(to), repair });
  });

  it("says who acts, when it is told", () => {
    expect(findWindow(["--repair", "--actor", "ada"], nowMs)).toMatchObject({ repair: true, actor: "ada" });
  });

  it.each([
    ["a time without a zone, which is another on each machine", ["--from", "2026-01-01T00:00:00"]],
    ["what a date could be guessed from", ["--from", "1"]],
    ["no date of the calendar", ["--to", "2026-02-30T00:00:00Z"]],
    ["an end before the beginning", ["--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"]],
    ["an option that is not known", ["--since", "2026-01-01T00:00:00Z"]],
    ["an argument that is none", ["yesterday"]],
    ["an actor without a name", ["--repair", "--actor", " "]],
  ])("is wrong usage: %s", (_what, args) => {
    expect(findWindow(args, nowMs)).toBeUndefined();
  });
});
