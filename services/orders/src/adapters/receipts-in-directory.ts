import { randomUUID } from "node:crypto";
import { link, mkdir, rm, unlink, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { AppError } from "@pricing-engine/chassis/errors";
import type { Receipt } from "../domain/receipt.ts";
import { type ReceiptNames, type ReceiptStore, receiptNames } from "./receipt-store.ts";

const refusals: ReadonlySet<string> = new Set(["ENAMETOOLONG", "EINVAL", "EILSEQ", "EFBIG"]);

/** Receipts as files, for one machine. */
export function makeDirectoryReceipts(directory: string): ReceiptStore {
  const root = resolve(directory);
  const put = async (name: string, text: string): Promise<string> => {
    const path = join(root, name);
    const fresh = `${path}.${randomUUID()}`;
    const write = () => writeFile(fresh, text, { flush: true });
    try {
      // The folder is there but for the first receipt of a month.
      await write().catch(async (error: unknown) => {
        if (codeOf(error) !== "ENOENT") throw error;
        await mkdir(dirname(path), { recursive: true });
        await write();
      });
      // Whole or not at all, and never over one that is there.
      await link(fresh, path).catch((error: unknown) => {
        if (codeOf(error) !== "EEXIST") throw error;
      });
    } finally {
      await unlink(fresh).catch((error: unknown) => {
        if (codeOf(error) !== "ENOENT") throw error;
      });
    }
    return pathToFileURL(path).href;
  };
  /** Both, side by side; neither is still being written when one has failed. */
  const putBoth = async (
    names: ReceiptNames,
    { json, page }: Receipt,
  ): Promise<{ jsonUrl: string; pageUrl: string }> => {
    const puts = [put(names.json, json), put(names.page, page)] as const;
    await Promise.allSettled(puts);
    const [jsonUrl, pageUrl] = await Promise.all(puts);
    return { jsonUrl, pageUrl };
  };
  return {
    async write(order, receipt) {
      try {
        return { kind: "written", ...(await putBoth(receiptNames(order), receipt)) };
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
