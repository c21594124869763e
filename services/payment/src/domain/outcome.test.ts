import { describe, expect, it } from "vitest";
import { outcomeOfFailure, outcomeOfStatus } from "./outcome.ts";

describe("outcomeOfStatus", () => {
  it.each([
    [200, true, "recorded"],
    [200, false, "unknown"],
    [422, true, "recorded"],
    [422, false, "unknown"],
    [429, true, "refused"],
    [500, true, "refused"],
    [503, true, "refused"],
    [500, false, "unknown"],
    [502, true, "unknown"],
    [504, true, "unknown"],
    [201, true, "unknown"],
    [302, true, "unknown"],
    [408, true, "unknown"],
    [400, true, "misconfigured"],
    [401, true, "misconfigured"],
    [403, true, "misconfigured"],
    [404, true, "misconfigured"],
  ] as const)("%i, well formed: %s, is %s", (status, wellFormed, kind) => {
    expect(outcomeOfStatus(status, wellFormed).kind).toBe(kind);
  });

  it("keeps apart what this call recorded and what was there", () => {
    expect(outcomeOfStatus(200, true)).toEqual({ kind: "recorded", already: false });
    expect(outcomeOfStatus(422, true)).toEqual({ kind: "recorded", already: true });
  });
});

describe("outcomeOfFailure", () => {
  it("knows that nothing was sent before there was a connection", () => {
    expect(outcomeOfFailure({ connected: false, code: "ECONNREFUSED" }).kind).toBe("refused");
    expect(outcomeOfFailure({ connected: true, code: "ECONNRESET" }).kind).toBe("unknown");
  });
});
