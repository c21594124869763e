import type { HttpContext } from "@pricing-engine/chassis/http";
import { decodeTenant, tenantHeader } from "@pricing-engine/contracts";

/** What the gateway says of who calls. Without it (a call from inside) there are no keys. */
function authMode(c: HttpContext): "none" | "apiKey" {
  return c.req.header("x-auth-mode") === "apiKey" ? "apiKey" : "none";
}

function tenantOf(c: HttpContext): string | undefined {
  const header = c.req.header(tenantHeader);
  return header === undefined ? undefined : decodeTenant(header);
}

/** Whose order it will be. */
export function tenantOfOrder(c: HttpContext, named: string | undefined): string {
  const tenant = tenantOf(c) ?? "default";
  return authMode(c) === "apiKey" ? tenant : (named ?? tenant);
}

/** Whose orders may be read; undefined: everybody's. */
export function tenantOfReader(c: HttpContext, named: string | undefined): string | undefined {
  return authMode(c) === "apiKey" ? tenantOf(c) : named;
}
