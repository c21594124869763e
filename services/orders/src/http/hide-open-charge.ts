import type { OrderResponse } from "@pricing-engine/contracts";

const chargeEnded = new Set<OrderResponse["status"]>(["paid", "payment_failed", "cancelled"]);

/**
 * The order without the id of a charge that has not ended: whoever knew it could pay a cent under it, and the processor would take that for
 * the charge. From then on the payment workers know it as taken.
 */
export function hideOpenCharge(order: OrderResponse): OrderResponse {
  const hasEnded = order.refund !== "none" || order.transitions.some(({ to }) => chargeEnded.has(to));
  return hasEnded ? order : { ...order, payment_id: null };
}
