import { z } from "zod";

/** RFC 9457 body of every error but those of `/search`. The chassis writes it; this is what clients may rely on. */
export const problem = z
  .looseObject({
    type: z.string().meta({ example: "https://pricing-engine.dev/errors/validation_failed" }),
    title: z.string().meta({ example: "The request does not fit its schema" }),
    status: z.int().meta({ example: 400 }),
    detail: z.string().meta({ example: "1 field is not valid" }),
    code: z.string().meta({ description: "Stable name of the kind of error.", example: "validation_failed" }),
    traceId: z.string().meta({ example: "4bf92f3577b34da6a3ce929d0e0e4736" }),
    errors: z
      .array(z.object({ pointer: z.string(), code: z.string(), message: z.string() }))
      .optional()
      .meta({
        description: "One entry per offending field: a JSON pointer into the body, or `?name` for a query parameter.",
        example: [{ pointer: "/quantity", code: "too_small", message: "Too small: expected number to be >=1" }],
      }),
  })
  .meta({ id: "Problem", description: "RFC 9457 problem details." });

/** What takes the place of one item's answer where the others went well. */
export const itemError = z
  .object({
    code: z.string().meta({ example: "not_found" }),
    status: z.int().meta({ example: 404 }),
    detail: z.string().meta({ example: "There is no product nope" }),
  })
  .meta({ id: "ItemError" });
