import { AppError, errorCatalogue } from "@pricing-engine/chassis/errors";
import type { SearchFailure } from "@pricing-engine/contracts";

/** A fault in the envelope of `/search`, which all its errors have. No 5xx says more than its title. */
export function searchFailureResponse(error: unknown): Response {
  const code = error instanceof AppError ? error.code : "internal";
  const { status, title } = errorCatalogue[code];
  const message = error instanceof AppError && status < 500 ? (error.detail ?? title) : title;
  const body: SearchFailure = { error: { code, message }, data: null };
  const headers: Record<string, string> = error instanceof AppError ? { ...error.headers } : {};
  if (status === 503 || status === 429) {
    headers["retry-after"] = String(error instanceof AppError ? (error.retryAfterSeconds ?? 1) : 1);
  }
  return new Response(JSON.stringify(body), { status, headers: { ...headers, "content-type": "application/json" } });
}
