export interface SigningKey {
  readonly id: string;
  /** base64 */
  readonly secret: string;
}

/** The first signs; all verify. */
export interface SigningKeys {
  readonly keys: readonly SigningKey[];
}

/**
 * The fresh key signs from now on, and what the one before it signed still verifies. Two are kept: all that an older one
 * signed has long expired. For a moment when no process runs; beside running ones the fresh key must first be known
 * everywhere before it signs anywhere.
 */
export function rotateSigningKeys({ keys }: SigningKeys, fresh: SigningKey): SigningKeys {
  return { keys: [fresh, ...keys.slice(0, 1)] };
}
