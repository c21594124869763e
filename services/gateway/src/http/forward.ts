import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { type HttpContext, type HttpEnv, readBody } from "@pricing-engine/chassis/http";
import { encodeTenant, tenantHeader } from "@pricing-engine/contracts";
import type { Handler } from "hono";
import { readAnswer, type Upstream } from "../adapters/upstream.ts";
import { bodyStreamOf } from "./body-stream.ts";
import type { Operation } from "./operation.ts";

const requestHeaders = ["content-type", "content-encoding", "accept", "accept-language", "idempotency-key"];
export const answerHeaders = [
  "allow",
  "cache-control",
  "content-language",
  "content-type",
  "etag",
  "idempotent-replayed",
  "last-modified",
  "link",
  "location",
  "retry-after",
  "vary",
];
const maxBufferedBytes = 1024 * 1024;

export type ForwardOptions = {
  /** The body goes through as it arrives, of any length, and the answer may take as long. */
  streamBody?: boolean;
  /** May be sent again after a broken connection. GETs always may. */
  repeatable?: boolean;
};

const streamedTimeoutMs = 15 * 60_000;

/** Hands the request to the service that owns it, and its answer back. The service checks path, query and body. */
export function forward(operation: Operation, upstream: Upstream, options: ForwardOptions = {}): Handler<HttpEnv> {
  const { streamBody = false, repeatable = operation.method === "GET" } = options;
  const name = `${operation.method} ${operation.path}`;
  return async (c) => {
    const body = streamBody ? bodyStream(c) : await bufferedBody(c);
    const { pathname, search } = new URL(c.req.url);
    const answer = await upstream.request({
      method: operation.method,
      target: pathname + search,
      operation: name,
      headers: upstreamHeaders(c),
      body,
      repeatable: repeatable && !streamBody,
      ...(streamBody ? { timeoutMs: streamedTimeoutMs } : {}),
      signal: c.req.raw.signal,
    });
    const headers = pick(answer.headers, answerHeaders);
    if (answer.status === 204 || answer.status === 304) {
      await answer.body.dump();
      return c.body(null, answer.status, headers);
    }
    const length = Number(answer.headers["content-length"]);
    if (!(length <= maxBufferedBytes)) {
      const stream = Readable.toWeb(answer.body) as ReadableStream as globalThis.ReadableStream;
      return new Response(stream, { status: answer.status, headers });
    }
    return new Response(await readAnswer(answer, operation.path), { status: answer.status, headers });
  };
}

/** What a service is told beside the body. Nothing else passes: keys stay here, tickets never come from outside. */
export function upstreamHeaders(c: HttpContext): Record<string, string> {
  const headers: Record<string, string> = {
    "x-correlation-id": c.get("correlationId"),
    [tenantHeader]: encodeTenant(c.get("caller").tenant),
    "x-auth-mode": c.get("authMode"),
  };
  for (const name of requestHeaders) {
    const value = c.req.header(name);
    if (value !== undefined) headers[name] = value;
  }
  return headers;
}

export function pick(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  names: readonly string[],
): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of names) {
    const value = headers[name];
    if (value !== undefined) picked[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return picked;
}

async function bufferedBody(c: HttpContext): Promise<Uint8Array | undefined> {
  if (c.req.method === "GET") return undefined;
  const bytes = await readBody(c);
  return bytes.byteLength === 0 ? undefined : bytes;
}

function bodyStream(c: HttpContext): Readable | undefined {
  const incoming = c.env?.incoming;
  if (incoming !== undefined) return bodyStreamOf(incoming);
  const { body } = c.req.raw;
  return body === null ? undefined : Readable.fromWeb(body as ReadableStream);
}
