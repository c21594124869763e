import type { RateLimitSettings } from "@pricing-engine/contracts";

export type Limit = { capacity: number; refillPerSecond: number };

/** Whether the settings limit the operation. A route is `METHOD /path`, or a path for all its methods. */
export function isLimited(settings: RateLimitSettings, method: string, path: string): boolean {
  if (method === "POST" && path === "/orders") return true;
  return settings.routes.includes(`${method} ${path}`) || settings.routes.includes(path);
}

/** The tenant's own bucket size, else everybody's. */
export function limitOf(settings: RateLimitSettings, tenant: string): Limit {
  const { capacity, refillPerSecond } = settings.tenants.find(({ name }) => name === tenant) ?? settings;
  return { capacity, refillPerSecond };
}

/**
 * `RateLimit` and `RateLimit-Policy` as structured fields (draft-ietf-httpapi-ratelimit-headers): quota and window in
 * the policy; what is left, and after how many seconds the bucket is full again, in the state.
 */
export function rateLimitHeaders(limit: Limit, remaining: number): { "ratelimit-policy": string; ratelimit: string } {
  const { capacity, refillPerSecond } = limit;
  const secondsFor = (tokens: number): number => Math.max(1, Math.ceil(tokens / refillPerSecond));
  const refills = refillPerSecond > 0;
  return {
    "ratelimit-policy": `"tenant";q=${Math.floor(capacity)}${refills ? `;w=${secondsFor(capacity)}` : ""}`,
    ratelimit: `"tenant";r=${remaining}${refills ? `;t=${secondsFor(capacity - remaining)}` : ""}`,
  };
}
