import { type SigningKey, type SigningKeys, signingKeys } from "@pricing-engine/contracts";

/**
 * The fresh key signs from now on, and what the one before it signed still verifies. Two are kept: all that an older one
 * signed has long expired. For a moment when no process runs; beside running ones the fresh key must first be known
 * everywhere before it signs anywhere.
 */
export function rotateSigningKeys({ keys }: SigningKeys, fresh: SigningKey): SigningKeys {
  return { keys: [fresh, ...keys.slice(0, 1)] };
}

/** Why nothing can be signed with what a Secret holds; undefined: it can. */
export function findKeysProblem(text: string | undefined): string | undefined {
  if (text === undefined || text === "") return "is missing";
  const issue = signingKeys.safeParse(parseJson(text)).error?.issues[0];
  return issue?.code === "invalid_type" ? 'is not {"keys": [{"id", "secret"}]}' : issue?.message;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
