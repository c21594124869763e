import type { HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { AppError } from "../errors/index.ts";
import type { Logger } from "../log/index.ts";
import { currentTraceId } from "../telemetry/index.ts";
import { observeRequests } from "./observe.ts";
import { problemResponse } from "./problem-response.ts";
import { checkTarget } from "./target.ts";

export type HttpEnv = {
  Bindings: Partial<HttpBindings>;
  Variables: {
    correlationId: string;
    /** Fields of the wide event; see addLogFields. */
    logFields: Record<string, unknown>;
    /** Bytes; see limitBody. */
    bodyLimit: number | undefined;
  };
};
export type HttpApp = Hono<HttpEnv>;
export type HttpContext = Context<HttpEnv>;

export type HttpAppOptions = {
  logger: Logger;
  /** Name of the service: labels metrics and spans. */
  name: string;
  /** Maps a fault to another envelope (only `/search` has one); undefined = problem+json. */
  renderError?: (error: unknown, c: HttpContext, traceId: string) => Response | undefined;
};

/**
 * The app that every service starts from. Whatever a client sends or a handler throws, the answer is a described one:
 * each carries a trace and a correlation id, faults are problem+json, unknown paths 404, known ones with another
 * method 405 (OPTIONS: 204) with `Allow`.
 */
export function makeHttpApp({ logger, name, renderError }: HttpAppOptions): HttpApp {
  const app: HttpApp = new Hono<HttpEnv>();
  app.use(observeRequests({ logger, name }));
  app.use(checkTarget);
  app.onError((error, c) => {
    const traceId = currentTraceId();
    return renderError?.(error, c, traceId) ?? problemResponse(error, traceId);
  });
  app.notFound((c) => {
    const allowed = allowedMethods(app, c.req.path);
    if (allowed.length === 0) throw new AppError("not_found");
    const headers = { allow: allowed.join(", ") };
    if (c.req.method === "OPTIONS") return c.body(null, 204, headers);
    throw new AppError("method_not_allowed", { detail: `allowed: ${headers.allow}`, headers });
  });
  return app;
}

/** Methods with a handler for the path; middleware is registered for all of them and does not count. */
function allowedMethods(app: HttpApp, path: string): string[] {
  const methods = new Set(app.routes.map((route) => route.method));
  methods.delete("ALL");
  const allowed = [...methods].filter((method) =>
    app.router.match(method, path)[0].some(([[, route]]) => route.method === method),
  );
  if (allowed.includes("GET")) allowed.push("HEAD");
  return allowed.length === 0 ? [] : [...allowed, "OPTIONS"].toSorted();
}

/** Adds fields to the request's one log line. */
export function addLogFields(c: HttpContext, fields: Record<string, unknown>): void {
  Object.assign(c.get("logFields"), fields);
}
