import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import { AppError } from "@pricing-engine/chassis/errors";
import { errors, Pool } from "@pricing-engine/chassis/http-client";
import { injectHeaders, type Link, SpanKind, withSpan } from "@pricing-engine/chassis/telemetry";

export type UpstreamRequest = {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Path with query, as the client sent it. */
  target: string;
  /** For spans and errors, e.g. `POST /api/v1/price`. */
  operation: string;
  headers: Record<string, string>;
  body?: Uint8Array | Readable | undefined;
  /** Whether it may be sent again when the connection broke before an answer: reads and what only computes. */
  repeatable: boolean;
  /** Until the answer's headers are there. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Spans that the call serves beside the current one. */
  links?: Link[];
};

export type UpstreamAnswer = {
  status: number;
  headers: IncomingHttpHeaders;
  body: Readable & { arrayBuffer(): Promise<ArrayBuffer>; dump(): Promise<void> };
};

/** One service behind the gateway. Rejects with AppError unavailable or deadline_exceeded alone. */
export type Upstream = {
  request(request: UpstreamRequest): Promise<UpstreamAnswer>;
  close(): Promise<void>;
};

const headersTimeoutMs = 10_000;
const bodyTimeoutMs = 30_000;

export function makeUpstream({ url, name }: { url: string; name: string }): Upstream {
  const { origin } = new URL(url);
  const pool = new Pool(origin, {
    connections: 128,
    pipelining: 1,
    connect: { timeout: 2_000 },
    // Shorter than what the services keep idle connections for, so that they seldom close one under a request.
    keepAliveTimeout: 20_000,
    keepAliveMaxTimeout: 60_000,
    headersTimeout: headersTimeoutMs,
    bodyTimeout: bodyTimeoutMs,
  });

  async function send(request: UpstreamRequest, attempt: number): Promise<UpstreamAnswer> {
    const { method, target, headers, body, timeoutMs = headersTimeoutMs, signal } = request;
    try {
      const { statusCode, ...answer } = await pool.request({
        method,
        path: target,
        headers: injectHeaders({ ...headers }),
        body: body ?? null,
        headersTimeout: timeoutMs,
        ...(signal === undefined ? {} : { signal }),
      });
      return { status: statusCode, headers: answer.headers, body: answer.body };
    } catch (error) {
      // An idle connection that the service closed in the same moment, e.g. because it restarts.
      if (request.repeatable && attempt === 1 && isBroken(error)) return send(request, attempt + 1);
      throw upstreamFault(error, name);
    }
  }

  return {
    request(request) {
      const { operation, links } = request;
      const options = { kind: SpanKind.CLIENT, attributes: { "peer.service": name }, ...(links && { links }) };
      return withSpan(operation, options, async (span) => {
        const answer = await send(request, 1);
        span.setAttribute("http.response.status_code", answer.status);
        return answer;
      });
    },
    close: () => pool.destroy(),
  };
}

/** The whole answer; one that breaks off in the middle is as if the service had not answered. */
export async function readAnswer(
  { body }: { body: { arrayBuffer(): Promise<ArrayBuffer> } },
  name: string,
): Promise<ArrayBuffer> {
  try {
    return await body.arrayBuffer();
  } catch (error) {
    throw upstreamFault(error, name);
  }
}

function isBroken(error: unknown): boolean {
  if (error instanceof errors.SocketError) return true;
  return error instanceof Error && "code" in error && (error.code === "ECONNRESET" || error.code === "EPIPE");
}

/** What the client is told when a service did not answer: never an answer of the gateway's own making beyond 503. */
export function upstreamFault(error: unknown, name: string): AppError {
  const late = error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError;
  const context = { upstream: name };
  return new AppError(late ? "deadline_exceeded" : "unavailable", { cause: error, context, retryAfterSeconds: 1 });
}
