import { setTimeout as sleep } from "node:timers/promises";
import { type Dispatcher, request } from "@pricing-engine/chassis/http-client";
import { counter } from "@pricing-engine/chassis/metrics";
import type { Credentials } from "./credentials.ts";
import { errorOfAnswer, KubeError } from "./kube-error.ts";

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Of the whole call, with what is waited for when the API server is busy. */
  readonly timeoutMs?: number | undefined;
}

export interface Call extends CallOptions {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
}

export interface Transport {
  /** The answer's body. @throws KubeError, or the signal's reason */
  call(call: Call): Promise<unknown>;
  /** Chunks of the answer as they come; a stream that is silent for so long is given up. */
  stream(call: Omit<Call, "timeoutMs">, silenceMs: number): Promise<AsyncIterable<Buffer>>;
  close(): Promise<void>;
}

const requests = counter({
  name: "rest_client_requests_total",
  help: "Calls of the Kubernetes API, by method and by the answer's status (0: no answer).",
  labels: ["method", "code"],
});

export function makeTransport(credentials: Credentials, defaultTimeoutMs: number): Transport {
  /** Without an answer's body read. */
  async function send(call: Call, timeouts: { headersTimeout: number; bodyTimeout: number }, signal: AbortSignal) {
    const url = new URL(credentials.server.replace(/\/$/, "") + call.path);
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const { headers, dispatcher } = await credentials.get();
    signal.throwIfAborted();
    const body = call.body === undefined ? null : JSON.stringify(call.body);
    const answer = await request(url, {
      method: call.method,
      dispatcher,
      signal,
      ...timeouts,
      headers: {
        ...headers,
        accept: "application/json",
        "user-agent": "pricing-engine-operator",
        ...(body === null ? {} : { "content-type": call.contentType ?? "application/json" }),
      },
      body,
    });
    requests.inc({ method: call.method, code: String(answer.statusCode) });
    return answer;
  }

  async function once(
    call: Call,
    timeouts: { headersTimeout: number; bodyTimeout: number },
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const name = `${call.method} ${call.path}`;
    const answer = await send(call, timeouts, signal);
    if (answer.statusCode < 300) return answer;
    const retryAfter = answer.headers["retry-after"];
    throw errorOfAnswer(
      name,
      answer.statusCode,
      await answer.body.text(),
      Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
    );
  }

  return {
    async call(call) {
      const timeoutMs = call.timeoutMs ?? defaultTimeoutMs;
      const deadline = performance.now() + timeoutMs;
      const late = new AbortController();
      const give = (): void => late.abort(call.signal?.reason);
      const timer = setTimeout(() => late.abort(), timeoutMs);
      call.signal?.addEventListener("abort", give, { once: true });
      if (call.signal?.aborted === true) give();
      try {
        // The timer above is the only limit: undici's own are coarser.
        const timeouts = { headersTimeout: 0, bodyTimeout: 0 };
        for (;;) {
          try {
            const answer = await once(call, timeouts, late.signal);
            return parseBody(await answer.body.text(), call);
          } catch (error) {
            const waitMs = busyFor(error);
            if (waitMs === undefined || performance.now() + waitMs >= deadline) throw error;
            await sleep(waitMs, undefined, { signal: late.signal });
          }
        }
      } catch (error) {
        throw explain(error, call, late.signal, timeoutMs);
      } finally {
        clearTimeout(timer);
        call.signal?.removeEventListener("abort", give);
      }
    },
    async stream(call, silenceMs) {
      const signal = call.signal ?? new AbortController().signal;
      const timeouts = { headersTimeout: Math.min(silenceMs, defaultTimeoutMs), bodyTimeout: silenceMs };
      try {
        const answer = await once(call, timeouts, signal);
        return chunksOf(answer.body, call, signal, silenceMs);
      } catch (error) {
        throw explain(error, call, signal, timeouts.headersTimeout);
      }
    },
    close: () => credentials.close(),
  };
}

async function* chunksOf(
  body: AsyncIterable<Buffer>,
  call: Call,
  signal: AbortSignal,
  silenceMs: number,
): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch (error) {
    throw explain(error, call, signal, silenceMs);
  }
}

/** The API server did nothing and says when to come again. */
function busyFor(error: unknown): number | undefined {
  if (!(error instanceof KubeError) || error.retryAfterMs === undefined) return undefined;
  if (error.status !== 429 && error.status !== 503) return undefined;
  // Everyone was told the same second.
  return error.retryAfterMs * (1 + Math.random() * 0.25);
}

function parseBody(text: string, call: Call): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KubeError(`${call.method} ${call.path}: the answer is no JSON`, { status: 0, reason: "Garbled", cause });
  }
}

function explain(error: unknown, call: Call, signal: AbortSignal, timeoutMs: number): unknown {
  if (error instanceof KubeError) return error;
  const name = `${call.method} ${call.path}`;
  if (call.signal?.aborted === true) return call.signal.reason;
  requests.inc({ method: call.method, code: "0" });
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (signal.aborted || code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT") {
    return new KubeError(`${name}: no answer within ${timeoutMs} ms`, { status: 0, reason: "Timeout", cause: error });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new KubeError(`${name}: ${message}`, { status: 0, reason: "Unreachable", cause: error });
}
