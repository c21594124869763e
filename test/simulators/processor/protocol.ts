import type { IncomingMessage, ServerResponse } from "node:http";

export type PaymentBody = { correlationId: string; amountMinor: number; requestedAt: string; requestedAtMs: number };

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const maxBodyBytes = 64 * 1024;

export async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) return undefined;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    return undefined;
  }
}

/** The body of a payment, its amount in exact minor units; undefined when it is none. */
export function parsePayment(body: unknown): PaymentBody | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const { correlationId, amount, requestedAt } = body as Record<string, unknown>;
  if (typeof correlationId !== "string" || !uuid.test(correlationId)) return undefined;
  if (typeof amount !== "number" || !Number.isFinite(amount) || amount <= 0) return undefined;
  const amountMinor = Math.round(amount * 100);
  if (Math.abs(amountMinor / 100 - amount) > 1e-9) return undefined;
  if (typeof requestedAt !== "string") return undefined;
  const requestedAtMs = Date.parse(requestedAt);
  if (Number.isNaN(requestedAtMs)) return undefined;
  return { correlationId: correlationId.toLowerCase(), amountMinor, requestedAt, requestedAtMs };
}

/** Bounds of a summary, both optional and inclusive; undefined when one is no time. */
export function parseWindow(query: URLSearchParams): { fromMs: number; toMs: number } | undefined {
  const from = query.get("from");
  const to = query.get("to");
  const fromMs = from === null || from === "" ? Number.NEGATIVE_INFINITY : Date.parse(from);
  const toMs = to === null || to === "" ? Number.POSITIVE_INFINITY : Date.parse(to);
  return Number.isNaN(fromMs) || Number.isNaN(toMs) ? undefined : { fromMs, toMs };
}

export function answer(response: ServerResponse, status: number, body?: unknown): void {
  if (response.destroyed) return;
  if (body === undefined) {
    response.writeHead(status).end();
    return;
  }
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { "content-type": "application/json", "content-length": bytes.length }).end(bytes);
}
