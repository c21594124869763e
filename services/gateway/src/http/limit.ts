import { AppError } from "@pricing-engine/chassis/errors";
import type { HttpContext } from "@pricing-engine/chassis/http";
import type { RateLimitSettings } from "@pricing-engine/contracts";
import { rateLimitHeaders } from "../domain/rate-limit.ts";
import type { TakeToken } from "../usecases/take-token.ts";

declare module "hono" {
  interface ContextVariableMap {
    /** Of a call that took a token: the guard puts them on its answer, whatever that is. */
    rateLimitHeaders?: Readonly<Record<string, string>>;
  }
}

/** Takes one of the tenant's tokens and returns how many are left. @throws AppError rate_limited */
export async function takeOrRefuse(
  c: HttpContext,
  takeToken: TakeToken,
  settings: RateLimitSettings,
  tenant: string,
): Promise<number> {
  const { allowed, limit, remaining, retryAfterMs } = await takeToken(settings, tenant);
  const headers = rateLimitHeaders(limit, remaining);
  c.set("rateLimitHeaders", headers);
  if (allowed) return remaining;
  const retryAfterSeconds = Number.isFinite(retryAfterMs) ? Math.ceil(retryAfterMs / 1_000) : 3_600;
  throw new AppError("rate_limited", { headers, retryAfterSeconds });
}
