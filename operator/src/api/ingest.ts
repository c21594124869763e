import { z } from "zod";
import { dnsLabel, duration, httpUrl, refuseDuplicates, secretRef, workers } from "./fields.ts";

const timezone = z
  .string()
  .max(64)
  .refine(
    (name) => {
      try {
        return new Intl.DateTimeFormat("en", { timeZone: name }) !== undefined;
      } catch {
        return false;
      }
    },
    { error: "expected an IANA time zone such as Europe/Madrid" },
  );

const source = z.strictObject({
  name: dnsLabel("Name of the source; part of the identity of its plans."),
  url: httpUrl("Where the feed is read."),
  format: z
    .enum(["plan-list-xml", "event-list-xml", "json"])
    .describe("Format of the feed; both XML formats are read under either name."),
  interval: duration("Time between two reads.", { atLeast: "1s" }).prefault("300s"),
  timeout: duration("Limit for connect and headers, and for each stretch without 64 KiB.", {
    atLeast: "1s",
    // As with every timer, more than 24.8 days would be over at once.
    atMost: "24h",
  }).prefault("30s"),
  timezone: timezone.default("UTC").describe("Zone of dates that name none."),
  products: z.boolean().default(false).describe("Make a product of each zone. Needs the pricing section."),
  secretRef: secretRef("`token`, sent as a bearer token").optional(),
});

export const ingest = z
  .strictObject({
    sources: z
      .array(source)
      .min(1)
      .max(100)
      .superRefine((sources, context) => refuseDuplicates(sources, (item) => item.name, "name", context))
      .optional()
      .describe("Provider feeds. The local runtime reads the samples of a simulated provider when they are left out."),
    workers: workers.prefault({}),
  })
  .describe("Pulls provider feeds and answers `/search`.");
