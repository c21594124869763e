import { findPaymentAmountMinor, type PaymentRequest } from "@pricing-engine/contracts";

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Quick look at a parsed body: the request when it is valid beyond doubt, as the schema would give it, else undefined, and
 * then the schema is asked. It may refuse what the schema takes, never take what the schema refuses (a property test holds
 * it to that).
 */
export function findPlainPayment(body: unknown): PaymentRequest | undefined {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return undefined;
  // What is nested may be nested too deep, and __proto__ is refused: the schema's side judges that.
  for (const key of Object.keys(body)) {
    if (key === "__proto__" || typeof (body as Record<string, unknown>)[key] === "object") return undefined;
  }
  const { correlationId, amount } = body as Record<string, unknown>;
  if (typeof correlationId !== "string" || !uuid.test(correlationId)) return undefined;
  if (typeof amount !== "number" || findPaymentAmountMinor(amount) === undefined) return undefined;
  return { correlationId: correlationId.toLowerCase(), amount };
}
