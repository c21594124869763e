import { z } from "zod";
import { text } from "./text.ts";
import { time } from "./time.ts";

export const feedFormats = ["plan-list-xml", "event-list-xml", "json"] as const;
export const feedFormat = z.enum(feedFormats);
export type FeedFormat = z.infer<typeof feedFormat>;

/** A provider's feed, as it travels in the live settings. Its token does not: that is a file. */
export const sourceSettings = z.object({
  name: text({ min: 1, max: 63 }),
  url: z.url({ protocol: /^https?$/ }),
  format: feedFormat,
  intervalMs: z.int().min(1000),
  timeoutMs: z.int().min(1),
  timezone: z.string().default("UTC"),
  products: z.boolean().default(false),
});
export type SourceSettings = z.infer<typeof sourceSettings>;

export const sourceStates = ["Pending", "Healthy", "Partial", "Failing", "Open"] as const;
export const sourceState = z.enum(sourceStates).meta({
  description:
    "Pending: never read. Partial: the last document broke off. Failing: the last reads failed. Open: the breaker is open.",
  example: "Healthy",
});
export type SourceState = z.infer<typeof sourceState>;

const count = z.int().min(0);

export const sourceStatus = z
  .object({
    name: z.string().meta({ example: "fever" }),
    format: feedFormat,
    state: sourceState,
    last_success: time.nullable().meta({ description: "When a document was last read whole." }),
    last_attempt: time.nullable(),
    last_error: z.string().nullable().meta({ example: "http_status: 503" }),
    next_attempt: time.nullable(),
    plans: z
      .object({ seen: count, changed: count, rejected: count })
      .meta({ description: "Of the last document.", example: { seen: 3, changed: 1, rejected: 1 } }),
    totals: z
      .object({ polls: count, failures: count, partials: count, changed: count })
      .meta({ example: { polls: 10, failures: 3, partials: 0, changed: 5 } }),
    rejected: count.meta({ description: "Plans that are refused now: `pnpm ingest rejected list`.", example: 1 }),
  })
  .meta({ id: "SourceStatus" });
export type SourceStatus = z.infer<typeof sourceStatus>;

export const sourcesResponse = z.object({ sources: z.array(sourceStatus) }).meta({ id: "Sources" });
export type SourcesResponse = z.infer<typeof sourcesResponse>;
