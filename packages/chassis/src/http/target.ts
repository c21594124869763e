import { createMiddleware } from "hono/factory";
import { AppError } from "../errors/index.ts";
import type { HttpEnv } from "./make-http-app.ts";
import { textFault } from "./text.ts";

/** Refuses a path that is not percent-encoded UTF-8 text: routers and databases would each read it their own way. */
export const checkTarget = createMiddleware<HttpEnv>(async (c, next) => {
  const { url } = c.req;
  if (url.includes("%")) {
    const path = url.slice(url.indexOf("/", url.indexOf("//") + 2)).split(/[?#]/, 1)[0] ?? "";
    const decoded = decodeOrUndefined(path);
    if (decoded === undefined) throw new AppError("bad_request", { detail: "the path is not percent-encoded UTF-8" });
    if (textFault(decoded) !== undefined) {
      throw new AppError("bad_request", { detail: "the path contains U+0000" });
    }
  }
  await next();
});

/** Percent-decodes strictly; undefined for a malformed escape or bytes that are not UTF-8. */
export function decodeOrUndefined(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
