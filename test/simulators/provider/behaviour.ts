import { z } from "zod";

/** How one feed behaves; changed with `PUT /control/<feed>` while it runs. */
export const behaviourSchema = z.strictObject({
  /** Documents, one an answer, over and over; the last one stays when `cycle` is false. */
  documents: z.array(z.string()).default([]),
  cycle: z.boolean().default(false),
  mode: z
    .enum([
      "ok",
      /** Ends in the middle of the document, with a content length that promises more. */
      "truncate",
      /** Ends in the middle, as if that were all. */
      "cut",
      /** 200 with a page for people. */
      "html",
      /** Never answers. */
      "hang",
      /** Headers and a few bytes, then nothing. */
      "stall",
      /** Entities that grow to gigabytes. */
      "bomb",
      /** Says UTF-8 and is Latin-1. */
      "encoding",
      /** Says gzip and is not. */
      "gzip-lie",
      /** Drops the connection. */
      "reset",
      /** A document of `largeBytes`. */
      "large",
    ])
    .default("ok"),
  /** Share of answers that are an empty 503; 0.36 was measured of a real one. */
  failureRate: z.number().min(0).max(1).default(0),
  /** Mean of the latency; its tail is long (log-normal); 1,700 was measured. 0: none. */
  latencyMeanMs: z.number().min(0).default(0),
  /** Conditional requests get 304 while the document is the same. */
  etag: z.boolean().default(true),
  gzip: z.boolean().default(true),
  contentType: z.string().default("application/xml"),
  /** Of the share of the document that arrives in mode truncate and cut. */
  keepShare: z.number().min(0).max(1).default(0.5),
  largeBytes: z.int().min(1).default(50_000_000),
  largeZones: z.int().min(1).max(2000).default(100),
  /** Changes what is in a large document. */
  largeVersion: z.int().min(0).default(1),
});
export type Behaviour = z.infer<typeof behaviourSchema>;

/** Milliseconds with the mean given and a tail of some ten times as much. */
export function pickLatencyMs(meanMs: number, random: () => number): number {
  if (meanMs === 0) return 0;
  const sigma = 0.9;
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return meanMs * Math.exp(sigma * normal - (sigma * sigma) / 2);
}

/** A repeatable sequence (mulberry32). */
export function makeRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
