import { z } from "zod";
import { amount, amountInput, fitsCurrency, knownCurrency, quantity, stock } from "./amount.ts";
import { isStorableText, productId, segment, text } from "./text.ts";
import { time, timeInput } from "./time.ts";

const listPrice = z
  .strictObject({
    segment: segment.nullish().meta({ description: "Absent or null: every segment.", example: "business" }),
    currency: knownCurrency,
    min_quantity: quantity.default(1),
    valid_from: timeInput.nullish(),
    valid_to: timeInput
      .nullish()
      .meta({ description: "Exclusive; absent or null: open.", example: "2026-12-31T00:00:00Z" }),
    price: amountInput,
    priority: z.int().min(-1_000_000).max(1_000_000).default(0).meta({ description: "Higher wins.", example: 0 }),
  })
  .superRefine((entry, context) => {
    if (!fitsCurrency(entry.price, entry.currency)) {
      context.addIssue({
        code: "custom",
        path: ["price"],
        message: `has more decimals than ${entry.currency} counts in`,
      });
    }
    if (entry.valid_from && entry.valid_to && Date.parse(entry.valid_from) >= Date.parse(entry.valid_to)) {
      context.addIssue({ code: "custom", path: ["valid_to"], message: "must be after valid_from" });
    }
  })
  .meta({ id: "ListPriceInput" });
export type ListPriceInput = z.infer<typeof listPrice>;

/**
 * Every string and key in a value, however deep, must be storable, and every number one that comes out again (1e400 is
 * read as infinite, which JSON cannot say); the nesting is bounded by the HTTP layer.
 */
function isStorableJson(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value === "string") return isStorableText(value);
  if (Array.isArray(value)) return value.every(isStorableJson);
  if (typeof value !== "object" || value === null) return true;
  return Object.entries(value).every(([key, inner]) => isStorableText(key) && isStorableJson(inner));
}

const attributes = z
  .record(z.string().max(255), z.unknown())
  .refine((value) => Object.keys(value).length <= 200, { error: "must not hold more than 200 attributes" })
  .refine(isStorableJson, { error: "must not contain U+0000, lone surrogates or numbers beyond 1.8e308" })
  .meta({ description: "Free JSON values that rules may read as `product.attributes`.", example: { zone: "stalls" } });

const productShape = {
  name: text({ min: 1, max: 255 }).meta({ example: "Concert 42, stalls" }),
  base_price: amountInput,
  cost: amountInput.nullish().meta({ description: "What it costs us; prices never go below it.", example: "12.00" }),
  currency: knownCurrency,
  stock: stock.nullish().meta({ description: "Initial stock; absent or null: not tracked.", example: 120 }),
  list_prices: z.array(listPrice).max(1000).default([]),
  attributes: attributes.default({}),
};

function amountsFitCurrency(
  product: { base_price: string; cost?: string | null | undefined; currency: string },
  context: z.RefinementCtx,
): void {
  for (const field of ["base_price", "cost"] as const) {
    const value = product[field];
    if (typeof value === "string" && !fitsCurrency(value, product.currency)) {
      context.addIssue({
        code: "custom",
        path: [field],
        message: `has more decimals than ${product.currency} counts in`,
      });
    }
  }
}

const productExample = {
  name: "Concert 42, stalls",
  base_price: "19.90",
  cost: "12.00",
  currency: "EUR",
  stock: 120,
  list_prices: [],
  attributes: { zone: "stalls" },
};

/** Body of `PUT /api/v1/products/{id}`: the whole product; rejects unknown fields. */
export const productInput = z
  .strictObject(productShape)
  .superRefine(amountsFitCurrency)
  .meta({ id: "ProductInput", examples: [productExample] });
export type ProductInput = z.infer<typeof productInput>;

/** An id that a path can name: to URLs these two, escaped or not, are steps within the path. */
const newProductId = productId.refine((id) => id !== "." && id !== "..", { error: "must not be . or .." });

/** One line of `POST /api/v1/products:import`. */
export const productImportLine = z
  .strictObject({ product_id: newProductId, ...productShape })
  .superRefine(amountsFitCurrency)
  .meta({ id: "ProductImportLine", examples: [{ product_id: "concert-42-stalls", ...productExample }] });
export type ProductImportLine = z.infer<typeof productImportLine>;

/** Columns of an import as CSV; `list_prices` and `attributes` hold JSON, an empty cell means absent. */
export const productCsvColumns = [
  "product_id",
  "name",
  "base_price",
  "cost",
  "currency",
  "stock",
  "list_prices",
  "attributes",
] as const;

export const productResponse = z
  .object({
    product_id: z.string().meta({ example: "concert-42-stalls" }),
    name: z.string().meta({ example: "Concert 42, stalls" }),
    base_price: amount,
    cost: amount.nullable().meta({ example: "12.00" }),
    currency: z.string().meta({ example: "EUR" }),
    stock: z.int().nullable().meta({ example: 120 }),
    list_prices: z.array(
      z.object({
        segment: z.string().nullable(),
        currency: z.string(),
        min_quantity: z.int(),
        valid_from: time.nullable(),
        valid_to: time.nullable(),
        price: amount,
        priority: z.int(),
      }),
    ),
    attributes: z.record(z.string(), z.unknown()).meta({ example: { zone: "stalls" } }),
    created_at: time,
    updated_at: time,
  })
  .meta({ id: "Product" });
export type ProductResponse = z.infer<typeof productResponse>;

export const productListQuery = z
  .strictObject({
    cursor: text({ min: 1, max: 1024 }).optional().meta({ description: "`next_cursor` of the page before." }),
    limit: z
      .string()
      .regex(/^(?:[1-9]\d?|[1-4]\d\d|500)$/, { error: "must be an integer from 1 to 500" })
      .transform(Number)
      .optional()
      .meta({ description: "1 to 500. Default 100.", example: "100" }),
  })
  .meta({ id: "ProductListQuery" });
export type ProductListQuery = z.infer<typeof productListQuery>;

export const productListResponse = z
  .object({
    products: z.array(productResponse),
    next_cursor: z.string().nullable().meta({ description: "Null on the last page.", example: null }),
  })
  .meta({ id: "ProductList" });
export type ProductListResponse = z.infer<typeof productListResponse>;

export const maxImportRejections = 1000;
/** A line of an import may not be longer than this. */
export const maxImportLineBytes = 1024 * 1024;

export const productImportResponse = z
  .object({
    imported: z.int().meta({ example: 2 }),
    rejected: z.array(z.object({ line: z.int(), code: z.string(), detail: z.string() })).meta({
      description: "The first 1,000.",
      example: [{ line: 3, code: "validation_failed", detail: "base_price: is missing" }],
    }),
    rejected_total: z.int().meta({ example: 1 }),
  })
  .meta({ id: "ProductImport" });
export type ProductImportResponse = z.infer<typeof productImportResponse>;
