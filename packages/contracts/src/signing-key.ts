import { z } from "zod";

/** 16 bytes are 24 characters of base64. */
const secretProblem = "has a key that is not base64 of at least 16 bytes";

/** `id` is in each token that it signs. */
export const signingKey = z.object({
  id: z.string().regex(/^[\w-]{1,32}$/, { error: "has an id that is not 1 to 32 letters, digits, - or _" }),
  secret: z.base64({ error: secretProblem }).min(24, { error: secretProblem }),
});
export type SigningKey = z.infer<typeof signingKey>;

/** What `keys.json` holds: the first one signs, all verify. What is wrong is said without a secret, to follow the name of the file. */
export const signingKeys = z.object({
  keys: z
    .array(signingKey)
    .min(1, { error: "has no key" })
    .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, { error: "has two keys of one id" }),
});
export type SigningKeys = z.infer<typeof signingKeys>;
