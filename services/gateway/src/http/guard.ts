import { AppError } from "@pricing-engine/chassis/errors";
import { addLogFields, type HttpEnv } from "@pricing-engine/chassis/http";
import type { GatewaySettings } from "@pricing-engine/contracts";
import type { MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import type { Keyring } from "../adapters/keyring.ts";
import { allows, anonymous, type Caller, parseBearer } from "../domain/access.ts";
import { isLimited } from "../domain/rate-limit.ts";
import type { TakeToken } from "../usecases/take-token.ts";
import { takeOrRefuse } from "./limit.ts";
import type { Operation } from "./operation.ts";

declare module "hono" {
  interface ContextVariableMap {
    /** Set by the guard, for every guarded handler. */
    caller: Caller;
    authMode: GatewaySettings["auth"];
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
    c.set("authMode", settings.auth);
    addLogFields(c, { tenant: caller.tenant });
    if (operation.limitsItself !== true && isLimited(settings.rateLimit, operation.method, operation.path)) {
      await takeOrRefuse(c, deps.takeToken, settings.rateLimit, caller.tenant);
    }
    await next();
    for (const [name, value] of Object.entries(c.get("rateLimitHeaders") ?? {})) c.res.headers.set(name, value);
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
