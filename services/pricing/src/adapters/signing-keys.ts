import { readFile } from "node:fs/promises";
import { type SigningKeys, signingKeys } from "@pricing-engine/contracts";
import { z } from "zod";

/** Throws without telling a secret. */
export async function readSigningKeys(path: string): Promise<SigningKeys> {
  const text = await readFile(path, "utf8");
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text.
    throw new Error(`${path} is not JSON`);
  }
  const result = signingKeys.safeParse(parsed);
  if (result.success) return result.data;
  throw new Error(`${path} does not hold signing keys: ${z.prettifyError(result.error)}`);
}
