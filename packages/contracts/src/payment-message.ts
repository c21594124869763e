import { z } from "zod";
import { envelopeOf } from "./envelope.ts";
import { paymentId, processorName } from "./payment.ts";
import { maxIdLength, text } from "./text.ts";
import { timeInput } from "./time.ts";

/** Who asks for a payment: a client of `POST /payments`, or an order's saga. Ids of the two never meet. */
export const paymentSource = z.enum(["api", "order"]);
export type PaymentSource = z.infer<typeof paymentSource>;

// Hundredths of the unit that processors count in, whatever the currency: they are sent `amountMinor / 100`.
const amountMinor = z.int().min(1).max(1_000_000_000_000);
const orderId = text({ min: 1, max: maxIdLength });

/**
 * Topic `payments`, key = correlationId. One charge; a repeat changes nothing. An order's `correlationId` is a random id kept on the
 * order, and `deadline` the time after which no first attempt starts: then `expired` is told.
 */
export const chargeData = z.discriminatedUnion("source", [
  z.object({ source: z.literal("api"), correlationId: paymentId, amountMinor }),
  z.object({ source: z.literal("order"), correlationId: paymentId, amountMinor, orderId, deadline: timeInput }),
]);
export type ChargeData = z.infer<typeof chargeData>;
export const chargeMessage = envelopeOf("payment-charge", chargeData);
export type ChargeMessage = z.infer<typeof chargeMessage>;

/**
 * Topic `payment-controls`, key = correlationId of the order's charge. Each may come before its charge, repeated and late.
 * - cancel: never sent → `cancelled`; settled, now or later → `settled`, then refunded without being asked, then `refunded`
 * - expire: never sent → `expired`; else the outcome stands and is told (again): `settled` as soon as it is known
 * - refund: of a settled charge → `refunded`; one that is not settled (yet) is refunded when it is; never sent → `cancelled`
 */
export const paymentControlData = z.object({
  action: z.enum(["cancel", "expire", "refund"]),
  correlationId: paymentId,
  orderId,
  /** Of the charge; kept when the control comes before it. */
  amountMinor,
});
export type PaymentControlData = z.infer<typeof paymentControlData>;
export const paymentControlMessage = envelopeOf("payment-control", paymentControlData);
export type PaymentControlMessage = z.infer<typeof paymentControlMessage>;

const eventCommon = { correlationId: paymentId, orderId, amountMinor };

/**
 * Topic `payment-events`, key = orderId: how orders' charges go. Told at least once, and again for each repeat of a control, in
 * the order in which it happened per charge. `amountMinor` is what was charged: accept exactly the order's.
 * `settled`, `cancelled` and `expired` exclude each other for good; `refunded` and `refund_manual` follow `settled` only.
 */
export const paymentEventData = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("settled"), ...eventCommon, processor: processorName, requestedAt: timeInput }),
  z.object({ kind: z.literal("cancelled"), ...eventCommon }),
  z.object({ kind: z.literal("expired"), ...eventCommon }),
  z.object({ kind: z.literal("refunded"), ...eventCommon }),
  /** The processor has no refunds: a person has to do it, `manual-review`. */
  z.object({ kind: z.literal("refund_manual"), ...eventCommon }),
]);
export type PaymentEventData = z.infer<typeof paymentEventData>;
export const paymentEventMessage = envelopeOf("payment-event", paymentEventData);
export type PaymentEventMessage = z.infer<typeof paymentEventMessage>;
