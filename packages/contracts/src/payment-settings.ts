import { z } from "zod";

const durationMs = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** The prober's verdict on one processor, as live settings carry it; advice that expires (`maxVerdictAgeMs`). */
export const processorVerdict = z.object({
  state: z.enum(["Healthy", "Degraded", "Down", "Unknown"]).default("Unknown"),
  /**
   * When the prober last heard anything, by its own clock. A worker never compares it with its clock: a verdict ages from the
   * moment at which a worker first saw this value.
   */
  checkedAtMs: z.int().min(0).default(0),
  minResponseTimeMs: z.number().min(0).default(0),
});
export type ProcessorVerdict = z.infer<typeof processorVerdict>;

export const paymentSettings = z.object({
  routing: z
    .object({
      /** A payment waits at most this long for the default processor. */
      maxHoldMs: durationMs.default(30_000),
      preferDefaultBelowMs: durationMs.default(120),
      maxLatencyRatio: z.number().min(1).default(3),
    })
    .prefault({}),
  maxVerdictAgeMs: durationMs.default(30_000),
  verdicts: z.object({ default: processorVerdict.prefault({}), fallback: processorVerdict.prefault({}) }).prefault({}),
});
export type PaymentSettings = z.infer<typeof paymentSettings>;
