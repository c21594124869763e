import { buildConnector, Pool } from "@pricing-engine/chassis/http-client";
import { extractContext, injectHeaders, SpanKind, withSpan } from "@pricing-engine/chassis/telemetry";
import { toPaymentAmount } from "@pricing-engine/contracts";
import { type Outcome, outcomeOfAnswer, outcomeOfFailure } from "../domain/outcome.ts";
import { type ProcessorName, processorNames } from "../domain/processor.ts";
import type { Processors } from "../usecases/ports.ts";

export type ProcessorEndpoint = { url: string; token: string | undefined };

export type ProcessorRecord = { amount: number; requestedAt: string };

export type HttpProcessors = Processors & {
  /** What the processor has under this id; undefined: nothing. Rejects when it cannot say. */
  find(processor: ProcessorName, id: string): Promise<ProcessorRecord | undefined>;
  /** The processor's own summary, both bounds inclusive. Rejects when it cannot say. */
  summary(
    processor: ProcessorName,
    fromMs: number,
    toMs: number,
  ): Promise<{ totalRequests: number; totalAmount: number }>;
  close(): Promise<void>;
};

const maxBodyBytes = 64 * 1024;

/**
 * Speaks the payment processor protocol. Connections are kept and their number follows the calls in flight; a request is written
 * once and never again by the client.
 */
export function makeHttpProcessors(
  endpoints: Record<ProcessorName, ProcessorEndpoint>,
  { timeoutMs }: { timeoutMs: number },
): HttpProcessors {
  const clients = {
    default: openClient(endpoints.default, timeoutMs),
    fallback: openClient(endpoints.fallback, timeoutMs),
  };

  return {
    pay: (processor, { id, amountMinor, requestedAtMs, trace = {} }) => {
      // Each under its own: a batch of them has the trace of its first.
      const span = { kind: SpanKind.CLIENT, parent: extractContext(trace) };
      return withSpan(`POST ${processor} /payments`, span, async (): Promise<Outcome> => {
        const client = clients[processor];
        const body = JSON.stringify({
          correlationId: id,
          amount: toPaymentAmount(amountMinor),
          requestedAt: new Date(requestedAtMs).toISOString(),
        });
        const reply = await client.call("POST", "/payments", body);
        return reply.kind === "failed"
          ? outcomeOfFailure(reply)
          : outcomeOfAnswer(reply.status, reply.whole ? reply.body : undefined);
      });
    },
    refund: (processor, id) =>
      withSpan(`POST ${processor} /payments/{id}/refund`, { kind: SpanKind.CLIENT }, async () => {
        const client = clients[processor];
        const reply = await client.call("POST", `/payments/${id}/refund`, "");
        if (reply.kind === "failed" || !reply.whole) return "again";
        if (reply.status === 200) return "done";
        if (reply.status !== 404 && reply.status !== 405) return "again";
        // It may know no refunds, or be somebody else than we think: only one that has the payment can lack refunds.
        const known = await client.call("GET", `/payments/${id}`);
        return known.kind === "answered" && known.whole && known.status === 200 ? "no_refunds" : "again";
      }),
    async find(processor, id) {
      const reply = await clients[processor].call("GET", `/payments/${id}`);
      if (reply.kind === "failed") throw new Error(`${processor} did not answer: ${reply.code}`);
      if (reply.status === 404 && reply.whole) return undefined;
      const body = parse(reply.body);
      if (reply.status !== 200 || typeof body.amount !== "number" || typeof body.requestedAt !== "string") {
        throw new Error(`${processor} answered ${reply.status}, which is no payment`);
      }
      return { amount: body.amount, requestedAt: body.requestedAt };
    },
    async summary(processor, fromMs, toMs) {
      const window = new URLSearchParams({ from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() });
      const reply = await clients[processor].call("GET", `/admin/payments-summary?${window}`);
      if (reply.kind === "failed") throw new Error(`${processor} did not answer: ${reply.code}`);
      const body = parse(reply.body);
      if (reply.status !== 200 || typeof body.totalRequests !== "number" || typeof body.totalAmount !== "number") {
        throw new Error(`${processor} answered ${reply.status}, which is no summary`);
      }
      return { totalRequests: body.totalRequests, totalAmount: body.totalAmount };
    },
    async close() {
      await Promise.all(processorNames.map((name) => clients[name].close()));
    },
  };
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

type Reply =
  | { kind: "answered"; status: number; body: string; whole: boolean }
  | { kind: "failed"; connected: boolean; code: string };

function openClient({ url, token }: ProcessorEndpoint, timeoutMs: number) {
  const { origin, pathname } = new URL(url);
  const base = pathname.replace(/\/$/, "");
  // What fails before there is a connection (DNS, TCP, TLS) has sent nothing; the error alone does not always say so.
  const beforeConnected = new WeakSet<Error>();
  const connectTo = buildConnector({ timeout: Math.min(timeoutMs, 5_000), allowH2: false });
  const pool = new Pool(origin, {
    connections: null,
    pipelining: 1,
    // The client would send a request again that a server of HTTP/2 turned away, and tell of that one's failure alone.
    allowH2: false,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: (options, callback) =>
      connectTo(options, (...result) => {
        const [error] = result;
        if (error !== null) beforeConnected.add(error);
        callback(...result);
      }),
  });
  const common: Record<string, string> =
    token === undefined ? {} : { authorization: `Bearer ${token}`, "x-rinha-token": token };

  return {
    async call(method: "GET" | "POST", path: string, body?: string): Promise<Reply> {
      const headers: Record<string, string> = { ...common };
      if (body !== undefined && body !== "") headers["content-type"] = "application/json";
      injectHeaders(headers);
      // The client's own time-outs are between two bytes: a trickle would never end.
      const whole = new AbortController();
      const timer = setTimeout(() => whole.abort(), timeoutMs * 2);
      try {
        const { statusCode, body: stream } = await pool.request({
          method,
          path: `${base}${path}`,
          headers,
          body: body ?? null,
          signal: whole.signal,
        });
        const read = await readAll(stream);
        return { kind: "answered", status: statusCode, body: read ?? "", whole: read !== undefined };
      } catch (error) {
        const connected = !(error instanceof Error && beforeConnected.has(error));
        return { kind: "failed", connected, code: codeOf(error) };
      } finally {
        clearTimeout(timer);
      }
    },
    async close(): Promise<void> {
      await pool.destroy();
    },
  };
}

/** Undefined when it broke off or is absurdly long. */
async function readAll(stream: AsyncIterable<Uint8Array>): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream) {
      bytes += chunk.byteLength;
      if (bytes > maxBodyBytes) return undefined;
      chunks.push(chunk);
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks).toString("utf8");
}

function codeOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return error instanceof Error ? error.name : "unknown";
}
