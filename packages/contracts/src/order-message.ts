import { z } from "zod";
import { envelopeOf } from "./envelope.ts";
import { orderId, orderStatus } from "./order.ts";
import { timeInput } from "./time.ts";

/**
 * Topics `order-inventory`, `order-payment`, `order-fulfillment` and `order-notification`, key = order id: what an order wants of a
 * stage. Each may come again and late; a stage acts on the order that it finds. `createdAt` of the order finds its partition.
 */
export const orderCommandData = z.object({
  action: z.enum(["reserve", "charge", "cancel_charge", "expire_charge", "refund", "fulfil", "notify"]),
  orderId,
  createdAt: timeInput,
});
export type OrderCommandData = z.infer<typeof orderCommandData>;
export const orderCommandMessage = envelopeOf("order-command", orderCommandData);
export type OrderCommandMessage = z.infer<typeof orderCommandMessage>;

/** Topic `orders` (compacted), key = order id: where an order is, for whoever outside wants it. */
export const orderChangeData = z.object({
  orderId,
  status: orderStatus,
  event: z.string(),
  reason: z.string().nullable(),
  /** Grows with each change of the order. */
  version: z.int().min(1),
});
export type OrderChangeData = z.infer<typeof orderChangeData>;
export const orderChangeMessage = envelopeOf("order-change", orderChangeData);
export type OrderChangeMessage = z.infer<typeof orderChangeMessage>;
