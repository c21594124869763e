import { AppError } from "@pricing-engine/chassis/errors";
import { addLogFields, type HttpEnv } from "@pricing-engine/chassis/http";
import type { GatewaySettings } from "@pricing-engine/contracts";
import type { MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import type { Keyring } from "../adapters/keyring.ts";
import { allows, anonymous, type Caller, parseBearer } from "../domain/access.ts";
import { isLimited, rateLimitHeaders } from "../domain/rate-limit.ts";
import type { TakeToken } from "../usecases/take-token.ts";
import type { Operation } from "./operation.ts";

declare module "hono" {
  interface ContextVariableMap {
    /** Set by the guard, for every guarded handler. */
    caller: Caller;
  }
}

export type GuardDeps = { settings: () => GatewaySettings; keyring: Keyring; takeToken: TakeToken };

/** Stands before an operation: who calls, may they, and do they have a token left. */
export function guard(operation: Operation, deps: GuardDeps): MiddlewareHandler<HttpEnv> {
  return createMiddleware<HttpEnv>(async (c, next) => {
    const settings = deps.settings();
    const caller = await authenticate(c.req.header("authorization"), settings, deps.keyring);
    if (operation.role !== undefined && !allows(caller.role, operation.role)) {
      throw new AppError("forbidden", { detail: `this call needs the role ${operation.role}` });
    }
    c.set("caller", caller);
    addLogFields(c, { tenant: caller.tenant });
    if (!isLimited(settings.rateLimit, operation.method, operation.path)) return next();

    const { allowed, limit, remaining, retryAfterMs } = await deps.takeToken(settings.rateLimit, caller.tenant);
    const headers = rateLimitHeaders(limit, remaining);
    if (!allowed) {
      const retryAfterSeconds = Number.isFinite(retryAfterMs) ? Math.ceil(retryAfterMs / 1_000) : 3_600;
      throw new AppError("rate_limited", { headers, retryAfterSeconds });
    }
    await next();
    for (const [name, value] of Object.entries(headers)) c.res.headers.set(name, value);
  });
}

async function authenticate(header: string | undefined, { auth }: GatewaySettings, keyring: Keyring): Promise<Caller> {
  if (auth === "none") return anonymous;
  const key = parseBearer(header);
  const caller = key === undefined ? undefined : await keyring.find(key);
  if (caller !== undefined) return caller;
  const detail = header === undefined ? "send Authorization: Bearer <key>" : "the key is not known";
  throw new AppError("unauthorized", { detail, headers: { "www-authenticate": "Bearer" } });
}
