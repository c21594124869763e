import { AppError } from "@pricing-engine/chassis/errors";
import { maxImportRejections, type ProductImportResponse, productImportLine } from "@pricing-engine/contracts";
import type { ProductWrite } from "../adapters/product-store.ts";
import { toWrite } from "./product-document.ts";
import type { WriteProducts } from "./write-products.ts";

/** A line as it was read: its value, or why it has none. `line` counts from 1. */
export type ImportLine =
  | { readonly kind: "value"; readonly line: number; readonly value: unknown }
  | { readonly kind: "unreadable"; readonly line: number; readonly detail: string }
  /** What is behind it cannot be read either. */
  | { readonly kind: "too_long"; readonly line: number };

export type ImportProducts = (lines: AsyncIterable<ImportLine>) => Promise<ProductImportResponse>;

/**
 * Writes the products of a stream in batches, in their order; a product that comes twice is as its last line says. One batch is
 * written while the next is read, and no more is read than that: memory does not grow with the stream. What was written before a fault
 * stays; importing again changes nothing of it.
 *
 * @throws AppError `payload_too_large` for a line above 1 MiB.
 */
export function makeImportProducts(writeProducts: WriteProducts, { batchSize }: { batchSize: number }): ImportProducts {
  return async (lines) => {
    const rejected: ProductImportResponse["rejected"] = [];
    let rejectedTotal = 0;
    let imported = 0;
    let batch = new Map<string, ProductWrite>();
    let writing: Promise<unknown> = Promise.resolve();

    const reject = (line: number, code: string, detail: string): void => {
      rejectedTotal += 1;
      if (rejected.length < maxImportRejections) rejected.push({ line, code, detail: detail.slice(0, 500) });
    };
    const flush = async (): Promise<void> => {
      const full = [...batch.values()];
      batch = new Map();
      await writing;
      writing = full.length === 0 ? Promise.resolve() : writeProducts(full);
      // Whoever waits for it sees the fault; without this it would count as unhandled in the meantime.
      writing.catch(() => undefined);
    };

    for await (const entry of lines) {
      if (entry.kind === "too_long") {
        await flush();
        await writing;
        const detail = `line ${entry.line} is longer than 1 MiB; ${imported} products before it were imported`;
        throw new AppError("payload_too_large", { detail });
      }
      if (entry.kind === "unreadable") {
        reject(entry.line, "invalid_json", entry.detail);
        continue;
      }
      const parsed = productImportLine.safeParse(entry.value);
      if (!parsed.success) {
        const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".") || "line"}: ${message}`);
        reject(entry.line, "validation_failed", problems.join("; "));
        continue;
      }
      const { product_id: productId, ...input } = parsed.data;
      imported += 1;
      batch.set(productId, toWrite(productId, input));
      if (batch.size >= batchSize) await flush();
    }
    await flush();
    await writing;
    return { imported, rejected, rejected_total: rejectedTotal };
  };
}
