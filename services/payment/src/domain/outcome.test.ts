import { describe, expect, it } from "vitest";
import { outcomeOfAnswer, outcomeOfFailure } from "./outcome.ts";

const message = '{"message":"payment processed successfully"}';

describe("outcomeOfAnswer", () => {
  it.each([
    [200, message, "recorded"],
    [200, "", "recorded"],
    [200, "\uFEFF{}", "recorded"],
    [200, "<html>It works!</html>", "unknown"],
    [200, '{"mess', "unknown"],
    [200, undefined, "unknown"],
    [422, message, "recorded"],
    [422, "already there", "recorded"],
    [422, undefined, "unknown"],
    [429, message, "refused"],
    [500, message, "refused"],
    [503, message, "refused"],
    [503, "no healthy upstream", "refused"],
    [503, "upstream connect error or disconnect/reset before headers. reset reason: connection termination", "unknown"],
    [500, undefined, "unknown"],
    [502, message, "unknown"],
    [504, message, "unknown"],
    [201, message, "unknown"],
    [302, message, "unknown"],
    [408, message, "unknown"],
    [400, message, "misconfigured"],
    [401, message, "misconfigured"],
    [403, message, "misconfigured"],
    [404, message, "misconfigured"],
  ])("%i with %j is %s", (status, body, kind) => {
    expect(outcomeOfAnswer(status, body).kind).toBe(kind);
  });

  it("keeps apart what this call recorded and what was there", () => {
    expect(outcomeOfAnswer(200, message)).toEqual({ kind: "recorded", already: false });
    expect(outcomeOfAnswer(422, message)).toEqual({ kind: "recorded", already: true });
  });
});

describe("outcomeOfFailure", () => {
  it("knows that nothing was sent before there was a connection", () => {
    expect(outcomeOfFailure({ connected: false, code: "ECONNREFUSED" }).kind).toBe("refused");
    expect(outcomeOfFailure({ connected: true, code: "ECONNRESET" }).kind).toBe("unknown");
  });
});
