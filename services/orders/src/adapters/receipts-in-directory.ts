import { randomUUID } from "node:crypto";
import { link, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { AppError } from "@pricing-engine/chassis/errors";
import { type ReceiptStore, receiptNames } from "./receipt-store.ts";

const refusals: ReadonlySet<string> = new Set(["ENAMETOOLONG", "EINVAL", "EILSEQ", "EFBIG"]);

/** Receipts as files, for one machine. */
export function makeDirectoryReceipts(directory: string): ReceiptStore {
  const root = resolve(directory);
  const put = async (name: string, text: string): Promise<string> => {
    const path = join(root, name);
    const fresh = `${path}.${randomUUID()}`;
    await mkdir(dirname(path), { recursive: true });
    try {
      await writeFile(fresh, text, { flush: true });
      // Whole or not at all, and never over one that is there.
      await link(fresh, path).catch((error: unknown) => {
        if (codeOf(error) !== "EEXIST") throw error;
      });
    } finally {
      await rm(fresh, { force: true });
    }
    return pathToFileURL(path).href;
  };
  return {
    async write(order, receipt) {
      const names = receiptNames(order);
      try {
        const jsonUrl = await put(names.json, receipt.json);
        return { kind: "written", jsonUrl, pageUrl: await put(names.page, receipt.page) };
      } catch (cause) {
        if (refusals.has(codeOf(cause) ?? "")) return { kind: "refused", reason: `the file system: ${codeOf(cause)}` };
        throw new AppError("unavailable", { cause, detail: "the directory of receipts takes nothing" });
      }
    },
    async remove(order) {
      const { json, page } = receiptNames(order);
      await Promise.all([json, page].map((name) => rm(join(root, name), { force: true }))).catch((cause: unknown) => {
        throw new AppError("unavailable", { cause });
      });
    },
    close: () => undefined,
  };
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
