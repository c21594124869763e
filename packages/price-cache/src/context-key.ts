/** What a price depends on from the customer's side, as `POST /api/v1/price` takes it. */
export type PriceContext = {
  product_id: string;
  user_location?: string | undefined;
  is_prime_member?: boolean | undefined;
  segment?: string | undefined;
  /** Units; absent means 1. */
  quantity?: number | undefined;
  /** Absent means the product's own. */
  currency?: string | undefined;
};

/**
 * The canonical name of a context: equal exactly when every field is. Texts hold no U+0000, so it separates them, and
 * an absent text differs from an empty one. Policy version and generation are checked in the entry itself, so that one
 * round trip does.
 */
export function contextKey(context: PriceContext): string {
  const { product_id, user_location, is_prime_member, segment, quantity = 1, currency = "" } = context;
  const place = user_location === undefined ? "" : `=${user_location}`;
  const group = segment === undefined ? "" : `=${segment}`;
  return `${quantity}:${is_prime_member === true ? 1 : 0}:${currency}:${product_id}\0${place}\0${group}`;
}
