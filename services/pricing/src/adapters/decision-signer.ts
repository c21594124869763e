import { createHmac, createSecretKey, type KeyObject } from "node:crypto";
import { type Decision, type DecisionResult, type Hmac, signDecision, verifyDecision } from "../domain/decision.ts";

/** `id` is base64url text, `secret` base64 of at least 16 bytes. */
export interface SigningKey {
  readonly id: string;
  readonly secret: string;
}

export interface DecisionSigner {
  sign(decision: Decision): string;
  verify(token: string): DecisionResult;
}

/** Signs with the first key and verifies with any: so keys can be rotated. Throws when a key is missing or unusable. */
export function makeDecisionSigner(keys: readonly SigningKey[]): DecisionSigner {
  const [first] = keys;
  if (first === undefined) throw new Error("a key is needed to sign decisions");
  const hmacs = new Map(keys.map((key) => [key.id, hmacOf(secretOf(key))]));
  if (hmacs.size !== keys.length) throw new Error("two signing keys have the same id");
  const sign = hmacs.get(first.id);
  if (sign === undefined) throw new Error("a key is needed to sign decisions");
  return {
    sign: (decision) => signDecision(decision, first.id, sign),
    verify: (token) => verifyDecision(token, (keyId) => hmacs.get(keyId)),
  };
}

function secretOf({ id, secret }: SigningKey): KeyObject {
  if (!/^[\w-]{1,32}$/.test(id)) throw new Error("the id of a signing key must be 1 to 32 letters, digits, - or _");
  const bytes = Buffer.from(secret, "base64");
  if (bytes.length < 16) throw new Error(`signing key "${id}" is shorter than 16 bytes`);
  return createSecretKey(bytes);
}

function hmacOf(key: KeyObject): Hmac {
  return (text) => createHmac("sha256", key).update(text).digest("base64url");
}
