import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decisionId } from "@pricing-engine/contracts";
import { afterAll, describe, expect, it } from "vitest";
import type { Decision } from "../domain/decision.ts";
import { makeDecisionSigner } from "./decision-signer.ts";
import { readSigningKeys } from "./signing-keys.ts";

const directory = mkdtempSync(join(tmpdir(), "signing-keys-"));
afterAll(() => rmSync(directory, { recursive: true }));

const secretOf = (fill: number): string => Buffer.alloc(32, fill).toString("base64");
const older = { id: "k1", secret: secretOf(1) };
const newer = { id: "k2", secret: secretOf(2) };
const decision: Decision = {
  productId: "seat",
  priceMinor: 1000,
  currency: "EUR",
  customer: { prime: false, segment: "", location: "" },
  quantity: 1,
  requestedCurrency: undefined,
  policyVersion: 0,
  marketSequence: 1,
  listPriceMinor: undefined,
  issuedAtMs: 0,
  validUntilMs: 1,
};

describe("keys", () => {
  it("rotate: the first signs, all verify, and one taken away does no longer", () => {
    const token = makeDecisionSigner({ keys: [older] }).sign(decision);
    expect(makeDecisionSigner({ keys: [newer, older] }).verify(token)).toEqual({ ok: true, decision });
    expect(makeDecisionSigner({ keys: [newer, older] }).sign(decision)).toMatch(/^d1\.k2\./);
    expect(makeDecisionSigner({ keys: [newer] }).verify(token)).toEqual({ ok: false, code: "unknown_key" });
    expect(makeDecisionSigner({ keys: [{ ...older, secret: newer.secret }] }).verify(token)).toEqual({
      ok: false,
      code: "forged",
    });
  });

  it("come from a file", async () => {
    const path = join(directory, "keys.json");
    writeFileSync(path, JSON.stringify({ keys: [newer, older] }));
    expect(await readSigningKeys(path)).toEqual({ keys: [newer, older] });
  });

  it.each([
    "",
    "{}",
    '{"keys":[]}',
    '{"keys":[{"id":"k1","secret":"hunter2hunter2hunter2hun!"}]}',
    JSON.stringify({ keys: [older, older] }),
    '{"keys":[{"id":"k1","secret":"c2hvcnQ="}]}',
    JSON.stringify({ keys: [{ ...older, id: "k.1" }] }),
  ])("from %j are refused, without a word of the secret", async (text) => {
    const path = join(directory, "bad.json");
    writeFileSync(path, text);
    await expect(readSigningKeys(path)).rejects.toThrow(path);
    await expect(readSigningKeys(path)).rejects.not.toThrow(/hunter2/);
  });
});

it("the longest token that a request can make is one that a request may name", () => {
  const longest = "\u0001".repeat(255);
  const customer = { prime: true, segment: longest, location: longest };
  const most = Number.MAX_SAFE_INTEGER;
  const token = makeDecisionSigner({ keys: [{ ...older, id: "k".repeat(32) }] }).sign({
    productId: longest,
    customer,
    priceMinor: most,
    currency: "EUR",
    quantity: 1_000_000,
    requestedCurrency: "EUR",
    policyVersion: most,
    marketSequence: most,
    listPriceMinor: most,
    issuedAtMs: Date.UTC(9999, 11),
    validUntilMs: Date.UTC(9999, 11) + 86_400_000,
  });
  expect(decisionId.safeParse(token).success).toBe(true);
});
