import { hash } from "node:crypto";

/** What is kept of a key. SHA-256 without salt is enough: keys are 32 random bytes. */
export function hashKey(key: string): string {
  return hash("sha256", key, "base64url");
}
