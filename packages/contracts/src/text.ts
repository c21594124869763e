import { z } from "zod";

/** Postgres can hold neither U+0000 nor a lone surrogate, so no text with one may enter. */
export function isStorableText(value: string): boolean {
  return !value.includes("\u0000") && value.isWellFormed();
}

/** Text of `min` to `max` UTF-16 units that Postgres can store as it is. */
export function text({ min, max }: { min: number; max: number }): z.ZodString {
  return z
    .string()
    .min(min)
    .max(max)
    .refine(isStorableText, { error: "must not contain U+0000 or lone surrogates", abort: true });
}

/** Longest id or key that any part takes or stores. */
export const maxIdLength = 255;

export const productId = text({ min: 1, max: maxIdLength }).meta({
  description: "Id of a product: 1 to 255 characters, chosen by whoever makes the product.",
  example: "concert-42-stalls",
});

export const taskId = text({ min: 1, max: maxIdLength }).meta({
  description: "Id of a task, sortable by the time it was made.",
  example: "01930a2b-7c4d-7e8f-9a0b-1c2d3e4f5a6b",
});

export const segment = text({ min: 1, max: maxIdLength }).meta({
  description: "Customer segment, as named in list prices and customer rules.",
  example: "business",
});

/**
 * A signed token carries the product and the customer's context, so it may be longer than an id: three texts of 255 characters, each
 * of them six as a JSON escape, in base64.
 */
export const decisionId = text({ min: 1, max: 8192 }).meta({
  description: "Signed token of one price decision. An order that names it before `valid_until` pays that price.",
  example: "k1.eyJwIjoiY29uY2VydC00Mi1zdGFsbHMifQ.3q2-7w",
});
