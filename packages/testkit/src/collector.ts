import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { z } from "zod";

const kinds = ["unspecified", "internal", "server", "client", "producer", "consumer"] as const;
const statuses = ["unset", "ok", "error"] as const;

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: (typeof kinds)[number];
  readonly serviceName: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status: (typeof statuses)[number];
  readonly startUnixNanos: bigint;
  readonly endUnixNanos: bigint;
}

export interface OtlpCollector extends AsyncDisposable {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly endpoint: string;
  /** All spans received so far. */
  spans(): readonly CollectedSpan[];
  clear(): void;
  close(): Promise<void>;
}

const attributesSchema = z.array(z.object({ key: z.string(), value: z.record(z.string(), z.unknown()) })).default([]);
const nanosSchema = z.union([z.string(), z.number()]).transform((value) => BigInt(value));
const spanSchema = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  name: z.string(),
  kind: z.number().default(0),
  attributes: attributesSchema,
  links: z.array(z.object({ traceId: z.string(), spanId: z.string() })).default([]),
  status: z.object({ code: z.number().default(0) }).default({ code: 0 }),
  startTimeUnixNano: nanosSchema,
  endTimeUnixNano: nanosSchema,
});
const requestSchema = z.object({
  resourceSpans: z
    .array(
      z.object({
        resource: z.object({ attributes: attributesSchema }).optional(),
        scopeSpans: z.array(z.object({ spans: z.array(spanSchema).default([]) })).default([]),
      }),
    )
    .default([]),
});

/** Receives traces over OTLP/HTTP with JSON bodies. */
export async function startOtlpCollector(): Promise<OtlpCollector> {
  let received: CollectedSpan[] = [];
  const server = createServer((request, response) => {
    answer(request, response, (spans) => received.push(...spans)).catch((error: unknown) => {
      response.writeHead(400).end(String(error));
    });
  });
  await new Promise<void>((resolve) => server.listen({ port: 0, host: "127.0.0.1" }, resolve));
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: () => received,
    clear: () => {
      received = [];
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  accept: (spans: CollectedSpan[]) => void,
): Promise<void> {
  const body = await buffer(request);
  if (request.method !== "POST" || request.url !== "/v1/traces") {
    response.writeHead(404).end();
    return;
  }
  const text = request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
  accept(parseSpans(JSON.parse(text.toString())));
  response.writeHead(200, { "content-type": "application/json" }).end("{}");
}

function parseSpans(body: unknown): CollectedSpan[] {
  return requestSchema.parse(body).resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const serviceName = String(plain(resource?.attributes ?? [])["service.name"] ?? "");
    return scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId === "" ? undefined : span.parentSpanId,
        name: span.name,
        kind: kinds[span.kind] ?? "unspecified",
        serviceName,
        attributes: plain(span.attributes),
        links: span.links,
        status: statuses[span.status.code] ?? "unset",
        startUnixNanos: span.startTimeUnixNano,
        endUnixNanos: span.endTimeUnixNano,
      })),
    );
  });
}

/** `{stringValue: "x"}` → `"x"`; integers arrive as strings and become numbers. */
function plain(attributes: z.infer<typeof attributesSchema>): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, "intValue" in value ? Number(value.intValue) : Object.values(value)[0]]),
  );
}
