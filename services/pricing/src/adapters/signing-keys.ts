import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { SigningKey } from "./decision-signer.ts";

const document = z.object({
  keys: z
    .array(z.object({ id: z.string().regex(/^[\w-]{1,32}$/), secret: z.base64().min(24) }))
    .min(1, { error: "holds no key" }),
});

/** The keys of `{keys: [{id, secret}]}`: the first one signs, all verify. Throws without telling a secret. */
export async function readSigningKeys(path: string): Promise<SigningKey[]> {
  const text = await readFile(path, "utf8");
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text.
    throw new Error(`${path} is not JSON`);
  }
  const result = document.safeParse(parsed);
  if (result.success) return result.data.keys;
  throw new Error(`${path} does not hold signing keys: ${z.prettifyError(result.error)}`);
}
