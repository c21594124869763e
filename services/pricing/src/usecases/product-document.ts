import { createHash } from "node:crypto";
import type { ProductInput, ProductResponse } from "@pricing-engine/contracts";
import { formatMinor, parseAmount } from "@pricing-engine/money";
import type { ProductWrite, StoredProduct } from "../adapters/product-store.ts";

/** A checked document as it is stored. Amounts fit their currency: the schema has seen to that. */
export function toWrite(productId: string, input: ProductInput): ProductWrite {
  const content = {
    name: input.name,
    basePriceMinor: parseAmount(input.base_price, input.currency),
    costMinor: input.cost == null ? undefined : parseAmount(input.cost, input.currency),
    currency: input.currency,
    stock: input.stock ?? undefined,
    attributes: input.attributes,
    listPrices: input.list_prices.map((entry) => ({
      segment: entry.segment ?? undefined,
      currency: entry.currency,
      minQuantity: entry.min_quantity,
      validFromMs: toMs(entry.valid_from),
      validToMs: toMs(entry.valid_to),
      priceMinor: parseAmount(entry.price, entry.currency),
      priority: entry.priority,
    })),
  };
  // The order of the attributes' keys counts here although it means nothing: at worst a price is published once more.
  return {
    productId,
    ...content,
    contentHash: createHash("sha256").update(JSON.stringify(content)).digest("base64url"),
  };
}

function toMs(time: string | null | undefined): number | undefined {
  return time == null ? undefined : Date.parse(time);
}

export function toResponse(product: StoredProduct): ProductResponse {
  const { currency } = product;
  return {
    product_id: product.productId,
    name: product.name,
    base_price: formatMinor(product.basePriceMinor, currency),
    cost: product.costMinor === undefined ? null : formatMinor(product.costMinor, currency),
    currency,
    stock: product.stock ?? null,
    list_prices: product.listPrices.map((entry) => ({
      segment: entry.segment ?? null,
      currency: entry.currency,
      min_quantity: entry.minQuantity,
      valid_from: toText(entry.validFromMs),
      valid_to: toText(entry.validToMs),
      price: formatMinor(entry.priceMinor, entry.currency),
      priority: entry.priority,
    })),
    attributes: product.attributes,
    created_at: new Date(product.createdAtMs).toISOString(),
    updated_at: new Date(product.updatedAtMs).toISOString(),
  };
}

function toText(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
