import { createHash } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import type { HttpEnv } from "./make-http-app.ts";

/**
 * ETag over the bytes of a 200 to a GET (or the handler's own tag), and 304 for a matching `If-None-Match`. It reads
 * the whole body: for reads of bounded size. Put it inside compressResponses.
 */
export function etagResponses(): MiddlewareHandler<HttpEnv> {
  return createMiddleware<HttpEnv>(async (c, next) => {
    await next();
    if ((c.req.method !== "GET" && c.req.method !== "HEAD") || c.res.status !== 200) return;
    let etag = c.res.headers.get("etag");
    if (etag === null) {
      const body = new Uint8Array(await c.res.arrayBuffer());
      etag = `"${createHash("sha1").update(body).digest("base64url")}"`;
      const headers = new Headers(c.res.headers);
      headers.set("etag", etag);
      c.res = new Response(body, { status: 200, headers });
    }
    if (!matches(c.req.header("if-none-match"), etag)) return;
    const headers = new Headers(c.res.headers);
    for (const name of ["content-type", "content-length", "content-encoding"]) headers.delete(name);
    c.res = undefined;
    c.res = new Response(null, { status: 304, headers });
  });
}

/** Weak comparison, as RFC 9110 asks of If-None-Match. */
function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  const opaque = etag.replace(/^W\//, "");
  return ifNoneMatch.trim() === "*" || ifNoneMatch.split(",").some((tag) => tag.trim().replace(/^W\//, "") === opaque);
}
