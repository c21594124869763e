import { z } from "zod";

export interface SigningKey {
  readonly id: string;
  /** base64 */
  readonly secret: string;
}

/** The first signs; all verify. */
export interface SigningKeys {
  readonly keys: readonly SigningKey[];
}

/** 16 bytes are 24 characters. */
const secret = z.base64().min(24);
const signingKeys = z.object({ keys: z.array(z.object({ id: z.string(), secret: z.string() })) });

/**
 * The fresh key signs from now on, and what the one before it signed still verifies. Two are kept: all that an older one
 * signed has long expired. For a moment when no process runs; beside running ones the fresh key must first be known
 * everywhere before it signs anywhere.
 */
export function rotateSigningKeys({ keys }: SigningKeys, fresh: SigningKey): SigningKeys {
  return { keys: [fresh, ...keys.slice(0, 1)] };
}

/** Why nothing can be signed with what a Secret holds; undefined: it can. The same rules as of whoever signs. */
export function findKeysProblem(text: string | undefined): string | undefined {
  if (text === undefined || text === "") return "is missing";
  const keys = readKeys(text);
  if (keys === undefined) return 'is not {"keys": [{"id", "secret"}]}';
  if (keys.length === 0) return "has no key";
  if (keys.some(({ id }) => !/^[\w-]{1,32}$/.test(id))) return "has an id that is not 1 to 32 letters, digits, - or _";
  if (keys.some((key) => !secret.safeParse(key.secret).success))
    return "has a key that is not base64 of at least 16 bytes";
  return new Set(keys.map(({ id }) => id)).size < keys.length ? "has two keys of one id" : undefined;
}

function readKeys(text: string): readonly SigningKey[] | undefined {
  try {
    return signingKeys.parse(JSON.parse(text)).keys;
  } catch {
    return undefined;
  }
}
