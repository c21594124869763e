import type { PriceRequest } from "./price.ts";

const plainText = (value: unknown): boolean => typeof value === "string" && value.length > 0 && value.length <= 255;
const isCurrencyForm = /^[A-Z]{3}$/;

/**
 * Quick look at a parsed body: the request when it is valid beyond doubt, else undefined, and then the schema is asked.
 * It may refuse what the schema takes, never take what the schema refuses (a property test holds it to that). The
 * caller has seen to it that no text holds U+0000 or a lone surrogate.
 */
export function findPlainPriceRequest(body: unknown): PriceRequest | undefined {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return undefined;
  // What is nested may be nested too deep, and __proto__ is refused: the schema's side judges that.
  for (const key of Object.keys(body)) {
    if (key === "__proto__" || typeof (body as Record<string, unknown>)[key] === "object") return undefined;
  }
  const { product_id, user_location, is_prime_member, segment, quantity, currency } = body as Record<string, unknown>;
  if (!plainText(product_id)) return undefined;
  if (user_location !== undefined && !plainText(user_location)) return undefined;
  if (is_prime_member !== undefined && typeof is_prime_member !== "boolean") return undefined;
  if (segment !== undefined && !plainText(segment)) return undefined;
  if (quantity !== undefined) {
    if (typeof quantity !== "number" || !Number.isInteger(quantity) || quantity < 1 || quantity > 1_000_000) {
      return undefined;
    }
  }
  if (currency !== undefined && !(typeof currency === "string" && isCurrencyForm.test(currency))) return undefined;
  return body as PriceRequest;
}
