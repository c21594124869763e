import { createHmac, createSecretKey, type KeyObject } from "node:crypto";
import type { SigningKeys } from "@pricing-engine/contracts";
import { type Decision, type DecisionResult, type Hmac, signDecision, verifyDecision } from "../domain/decision.ts";

export interface DecisionSigner {
  sign(decision: Decision): string;
  verify(token: string): DecisionResult;
}

/** Signs with the first key and verifies with any: so keys can be rotated. */
export function makeDecisionSigner({ keys }: SigningKeys): DecisionSigner {
  const hmacs = new Map(keys.map(({ id, secret }) => [id, hmacOf(createSecretKey(secret, "base64"))]));
  const [first] = hmacs;
  if (first === undefined) throw new Error("a key is needed to sign decisions");
  const [id, sign] = first;
  return {
    sign: (decision) => signDecision(decision, id, sign),
    verify: (token) => verifyDecision(token, (keyId) => hmacs.get(keyId)),
  };
}

function hmacOf(key: KeyObject): Hmac {
  return (text) => createHmac("sha256", key).update(text).digest("base64url");
}
