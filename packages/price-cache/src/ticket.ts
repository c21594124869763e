import { contextKey, type PriceContext } from "./context-key.ts";
import type { Ticket } from "./protocol.ts";

/** Internal header by which the gateway hands its ticket to pricing, saving a second look at Redis. */
export const ticketHeader = "x-price-ticket";

const format = /^([0-9a-f]{16}):(\d{16}):(\d{16}|![0-9a-f]{15})?(:settling)?$/;

/** Undefined when there is nothing to hand over: Redis could not be asked. */
export function encodeTicket(ticket: Ticket): string | undefined {
  if (ticket.generation === undefined) return undefined;
  return `${ticket.generation}:${ticket.policyVersion}:${ticket.marker ?? ""}${ticket.settling ? ":settling" : ""}`;
}

/** The ticket for this context; undefined when the text is not one. `nowMs`: monotonic clock. */
export function decodeTicket(text: string | undefined, context: PriceContext, nowMs: number): Ticket | undefined {
  const match = text === undefined ? null : format.exec(text);
  const [, generation, policyVersion, marker, settling] = match ?? [];
  if (generation === undefined || policyVersion === undefined) return undefined;
  const key = contextKey(context);
  const seen = { generation, policyVersion, marker, settling: settling !== undefined };
  return { productId: context.product_id, contextKey: key, ...seen, issuedMs: nowMs };
}

/**
 * Requests may share one computation exactly when they have seen the same: a later one must not join an older view. Undefined:
 * Redis does not tell what was shown before this one, so that it must be computed for itself.
 */
export function flightKey(ticket: Ticket): string | undefined {
  if (ticket.generation === undefined || ticket.settling) return undefined;
  return `${ticket.generation}:${ticket.policyVersion}:${ticket.marker ?? ""}:${ticket.contextKey}`;
}
