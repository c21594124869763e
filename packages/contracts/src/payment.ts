import { z } from "zod";
import { time } from "./time.ts";

const maxAmountMinor = 1_000_000_000;
const amountProblem = "must be above 0, at most 10000000, with at most 2 decimals";

/** A payment's amount in hundredths, or undefined when it has more than 2 decimals or is out of range. Exact for all it takes. */
export function findPaymentAmountMinor(amount: number): number | undefined {
  const minor = Math.round(amount * 100);
  return minor > 0 && minor <= maxAmountMinor && minor / 100 === amount ? minor : undefined;
}

/** Hundredths as the number that clients and processors see. */
export function toPaymentAmount(amountMinor: number): number {
  return amountMinor / 100;
}

/** Any version and case of UUID; comes out in lower case, so that two spellings of one id are one payment. */
export const paymentId = z
  .guid({ error: "must be a UUID" })
  .transform((id) => id.toLowerCase())
  .meta({ description: "UUID of the payment.", example: "4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3" });

/** Body of `POST /payments`; ignores unknown fields. */
export const paymentRequest = z
  .object({
    correlationId: paymentId,
    amount: z
      .number()
      .refine((amount) => findPaymentAmountMinor(amount) !== undefined, { error: amountProblem })
      .meta({ description: "Above 0, at most 10,000,000, at most 2 decimals.", example: 19.9 }),
  })
  .meta({ id: "Payment" });
export type PaymentRequest = z.infer<typeof paymentRequest>;

export const processorName = z.enum(["default", "fallback"]);
export const paymentStates = ["waiting", "sending", "unknown", "settled", "cancelled", "expired"] as const;
export const refundStates = ["requested", "done", "manual_review"] as const;

/** Answer of `GET /payments/{correlationId}`. */
export const paymentResponse = z
  .object({
    correlationId: z.string(),
    source: z.enum(["api", "order"]),
    amount: z.number(),
    state: z.enum(paymentStates).meta({
      description:
        "waiting: not sent, or refused by a processor; sending: an attempt is under way; unknown: an attempt may have been recorded, the same processor is asked again.",
    }),
    processor: processorName.optional(),
    requestedAt: time.optional(),
    attempts: z.int(),
    createdAt: time,
    settledAt: time.optional(),
    refund: z.enum(refundStates).optional(),
    conflict: z
      .object({ amount: z.number() })
      .optional()
      .meta({ description: "The first other amount that came with this correlationId; it was not charged." }),
    review: z.string().optional().meta({ description: "Why a person should look at it." }),
  })
  .meta({ id: "PaymentState" });
export type PaymentResponse = z.infer<typeof paymentResponse>;

const boundProblem = "must be an RFC 3339 time with a zone, like 2026-01-31T12:00:00.000Z";

/** Milliseconds of the epoch; what is finer is rounded inwards, so that an inclusive bound takes nothing outside of it. */
function bound(round: "up" | "down") {
  return z.iso
    .datetime({ offset: true, error: boundProblem })
    .transform((text) => {
      const fraction = /\.\d{3}(\d+)/.exec(text)?.[1] ?? "";
      const truncatedMs = Date.parse(text);
      return round === "up" && /[1-9]/.test(fraction) ? truncatedMs + 1 : truncatedMs;
    })
    .refine((ms) => Number.isFinite(ms), { error: boundProblem })
    .meta({ description: "RFC 3339 time with a zone, inclusive.", example: "2026-01-31T12:00:00.000Z" });
}

/** Query of `GET /payments-summary`: milliseconds, both bounds inclusive. */
export const paymentsSummaryQuery = z
  .strictObject({ from: bound("up").optional(), to: bound("down").optional() })
  // Two bounds within one millisecond are rounded past each other: a window that holds nothing, and no mistake.
  .refine(({ from, to }) => from === undefined || to === undefined || from - to <= 1, {
    path: ["to"],
    error: "must not be before from",
  });
export type PaymentsSummaryQuery = z.output<typeof paymentsSummaryQuery>;

const processorSummary = z.object({ totalRequests: z.int(), totalAmount: z.number() });

/** Over `requestedAt`. A refunded payment stays in. */
export const paymentsSummaryResponse = z
  .object({ default: processorSummary, fallback: processorSummary })
  .meta({ id: "PaymentsSummary" });
export type PaymentsSummaryResponse = z.infer<typeof paymentsSummaryResponse>;
