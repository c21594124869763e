import { AppError } from "@pricing-engine/chassis/errors";
import { Pool } from "@pricing-engine/chassis/http-client";
import { injectHeaders } from "@pricing-engine/chassis/telemetry";
import { productResponse, type QuotesRequest, type QuotesResponse, quotesResponse } from "@pricing-engine/contracts";

export interface PricingClient {
  quote(request: QuotesRequest): Promise<QuotesResponse>;
  /** The stock that a product began with: null when nobody counts it, undefined when there is no such product. */
  findInitialStock(productId: string): Promise<number | null | undefined>;
  close(): Promise<void>;
}

const timeoutMs = 5_000;

/** Each call throws AppError `unavailable` when pricing could not be asked; its context has the `status` of an answer that is none. */
export function makePricingClient(url: string): PricingClient {
  const pool = new Pool(new URL(url).origin, { connections: 32, connect: { timeout: 1_000 } });
  const call = async (method: "GET" | "POST", path: string, body?: unknown) => {
    try {
      const answer = await pool.request({
        method,
        path,
        headers: injectHeaders(body === undefined ? {} : { "content-type": "application/json" }),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      });
      const text = await answer.body.text();
      const { statusCode: status } = answer;
      if (status !== 200 && status !== 404) {
        throw new AppError("unavailable", { context: { upstream: "pricing", path, status } });
      }
      return { status, json: JSON.parse(text) as unknown };
    } catch (cause) {
      if (cause instanceof AppError) throw cause;
      throw new AppError("unavailable", { cause, context: { upstream: "pricing", path } });
    }
  };
  return {
    async quote(request) {
      const { status, json } = await call("POST", "/internal/quotes", request);
      if (status !== 200) throw new AppError("unavailable", { context: { upstream: "pricing", status } });
      return quotesResponse.parse(json);
    },
    async findInitialStock(productId) {
      const { status, json } = await call("GET", `/api/v1/products/${encodeURIComponent(productId)}`);
      return status === 404 ? undefined : productResponse.parse(json).stock;
    },
    close: () => pool.close(),
  };
}
