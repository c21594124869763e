import { expect, it } from "vitest";
import type { Outcome } from "../domain/outcome.ts";
import { tellMisconfigured } from "./tell-misconfigured.ts";

it("tells of a processor that refuses our calls as wrong, once a minute for each", async () => {
  let nowMs = 0;
  let outcome: Outcome = { kind: "misconfigured", reason: "status 401" };
  const lines: object[] = [];
  const processors = tellMisconfigured(
    { pay: async () => outcome, refund: async () => "done" },
    { error: (fields: object) => void lines.push(fields) },
    () => nowMs,
  );
  const call = { id: "a", amountMinor: 1, requestedAtMs: 0 };
  expect(await processors.pay("default", call)).toEqual(outcome);
  await processors.pay("default", call);
  await processors.pay("fallback", call);
  expect(lines).toMatchObject([
    { processor: "default", reason: "status 401", payment: "a" },
    { processor: "fallback" },
  ]);
  nowMs = 60_000;
  await processors.pay("default", call);
  expect(lines).toHaveLength(3);
  outcome = { kind: "refused", reason: "status 500", overloaded: false };
  nowMs = 120_000;
  await processors.pay("default", call);
  expect(lines).toHaveLength(3);
});
