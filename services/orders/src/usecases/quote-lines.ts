import { AppError } from "@pricing-engine/chassis/errors";
import type { OrderQuote, PlaceOrderRequest } from "@pricing-engine/contracts";
import { findAmount, formatMinor, parseAmount } from "@pricing-engine/money";
import type { Line } from "../adapters/order-store.ts";
import type { PricingClient } from "../adapters/pricing-client.ts";

type Item = PlaceOrderRequest["items"][number];

/**
 * The lines of an order at our prices, or at the client's where those are trusted.
 * @throws AppError 422: a product that is not known, a decision that cannot be used, another price, several currencies
 */
export async function quoteLines(
  pricing: Pick<PricingClient, "quote">,
  { items, is_prime_member = false }: PlaceOrderRequest,
  trustClientPrices: boolean,
): Promise<{ currency: string; lines: Line[] }> {
  const { results } = await pricing.quote({
    is_prime_member,
    items: items.map(({ product_id, quantity, decision_id }) => ({ product_id, quantity, decision_id })),
  });
  const quotes: OrderQuote[] = results.map((result, index) => {
    if (!("error" in result)) return result;
    const { code, detail } = result.error;
    const known = code === "decision_unusable" ? code : "unknown_product";
    const pointer = known === "decision_unusable" ? `/items/${index}/decision_id` : `/items/${index}/product_id`;
    throw new AppError(known, { detail, fieldErrors: [{ pointer, code: known, message: detail }] });
  });
  const [first] = quotes;
  if (first === undefined || quotes.length !== items.length) throw new AppError("unavailable");
  const { currency } = first;
  if (quotes.some((quote) => quote.currency !== currency)) {
    const detail = `the items are sold in ${[...new Set(quotes.map((quote) => quote.currency))].join(" and ")}`;
    throw new AppError("mixed_currencies", { detail });
  }
  refuseOtherPrices(items, quotes, trustClientPrices);
  const lines = quotes.map((quote, index) => {
    const { quantity = 1, price } = items[index] ?? {};
    const trusted = trustClientPrices && price !== undefined ? findAmount(String(price), currency) : undefined;
    return {
      productId: quote.product_id,
      name: quote.name,
      quantity,
      unitPriceMinor: trusted ?? parseAmount(quote.unit_price, currency),
      decisionId: trusted === undefined ? quote.decision_id : null,
      initialStock: quote.initial_stock,
    };
  });
  return { currency, lines };
}

/** One that is trusted must still be an amount of the currency: no other one may be charged in its place. */
function refuseOtherPrices(items: readonly Item[], quotes: readonly OrderQuote[], trusted: boolean): void {
  const differing = quotes.flatMap((quote, index) => {
    const price = items[index]?.price;
    if (price === undefined) return [];
    const ours = parseAmount(quote.unit_price, quote.currency);
    const theirs = findAmount(String(price), quote.currency);
    if (theirs === ours || (trusted && theirs !== undefined)) return [];
    return [{ index, product_id: quote.product_id, price, current_price: formatMinor(ours, quote.currency) }];
  });
  if (differing.length === 0) return;
  throw new AppError("price_differs", {
    detail: differing.map((one) => `the price of "${one.product_id}" is ${one.current_price}`).join("; "),
    fieldErrors: differing.map(({ index, current_price }) => ({
      pointer: `/items/${index}/price`,
      code: "price_differs",
      message: `is ${current_price} now`,
    })),
    extensions: {
      current_prices: differing.map(({ product_id, current_price }) => ({ product_id, price: current_price })),
    },
  });
}
