import { z } from "zod";

/** An event as `/search` shows it: one plan of a provider's feed. */
export const searchEvent = z
  .object({
    id: z.uuid().meta({ description: "Stable: made of the source and the provider's ids." }),
    title: z.string().meta({ example: "Camela en concierto" }),
    start_date: z.string().meta({ description: "As the source gives it, in its own time.", example: "2021-06-30" }),
    start_time: z.string().meta({ example: "21:00:00" }),
    end_date: z.string().meta({ example: "2021-06-30" }),
    end_time: z.string().meta({ example: "22:00:00" }),
    min_price: z.number().nullable().meta({ description: "Over all zones, sold out ones too.", example: 15 }),
    max_price: z.number().nullable().meta({ example: 30 }),
  })
  .meta({ id: "SearchEvent" });
export type SearchEvent = z.infer<typeof searchEvent>;

export const maxSearchLimit = 1000;

/** Query of `GET /search`, as it is documented; ingest's own parser says what is wrong with one. */
export const searchQuery = z
  .object({
    starts_at: z.string().optional().meta({
      description: "RFC 3339; without a zone it is UTC. Events that start then or later.",
      example: "2021-06-30T00:00:00Z",
    }),
    ends_at: z
      .string()
      .optional()
      .meta({ description: "Events that end then or before.", example: "2021-06-30T23:59:59Z" }),
    limit: z.string().optional().meta({ description: "1 to 1,000. Without it all events.", example: "100" }),
    cursor: z.string().optional().meta({ description: "From the `Link` header of the page before." }),
  })
  .meta({ id: "SearchQuery" });

export const searchResponse = z
  .object({ data: z.object({ events: z.array(searchEvent) }), error: z.null() })
  .meta({ id: "SearchResponse" });
export type SearchResponse = z.infer<typeof searchResponse>;

/** Every error of `/search`: it has an envelope of its own. */
export const searchFailure = z
  .object({
    error: z.object({ code: z.string().meta({ example: "validation_failed" }), message: z.string() }),
    data: z.null(),
  })
  .meta({ id: "SearchFailure" });
export type SearchFailure = z.infer<typeof searchFailure>;
