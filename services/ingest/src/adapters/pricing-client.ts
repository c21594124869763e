import { AppError } from "@pricing-engine/chassis/errors";
import { request } from "@pricing-engine/chassis/http-client";
import { productImportResponse } from "@pricing-engine/contracts";

export interface PricingClient {
  /** Makes or replaces products, in their order. @throws AppError `unavailable` when pricing could not be asked */
  importProducts(
    lines: readonly unknown[],
    signal: AbortSignal,
  ): Promise<{ imported: number; rejected: readonly { code: string; detail: string }[] }>;
}

const timeoutMs = 8_000;

export function makePricingClient({ url }: { url: string }): PricingClient {
  const target = new URL("/api/v1/products:import", url);
  return {
    async importProducts(lines, signal) {
      // A process that slept must not send what others have overtaken in the meantime.
      signal.throwIfAborted();
      const body = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
      const answer = await request(target, {
        method: "POST",
        headers: { "content-type": "application/x-ndjson" },
        body,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
        signal,
      }).catch((cause: unknown) => {
        throw new AppError("unavailable", { cause, context: { upstream: "pricing" } });
      });
      const text = await answer.body.text();
      if (answer.statusCode !== 200) {
        throw new AppError("unavailable", { context: { upstream: "pricing", status: answer.statusCode } });
      }
      const { imported, rejected } = productImportResponse.parse(JSON.parse(text));
      return { imported, rejected };
    },
  };
}
