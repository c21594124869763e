/** What the hot calls share that are answered straight on Node's server; measured in docs/decisions/0005. */
import { isUtf8 } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { HttpApp } from "@pricing-engine/chassis/http";
import { type Logger, makePlainLogger } from "@pricing-engine/chassis/log";
import { histogram } from "@pricing-engine/chassis/metrics";
import {
  type Context,
  extractContext,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  startSpan,
} from "@pricing-engine/chassis/telemetry";
import type { GatewaySettings, Role } from "@pricing-engine/contracts";
import type { Keyring } from "../adapters/keyring.ts";
import { allows, anonymous, parseBearer } from "../domain/access.ts";
import { isLimited } from "../domain/rate-limit.ts";

/** Looks at a request before the app does; true when it answers it. */
export type Front = (incoming: IncomingMessage, outgoing: ServerResponse) => boolean;

// Larger ones are valid too, but rare: the app takes them.
const maxBodyBytes = 16 * 1024;
const backslash = 0x5c;
const jsonTypes = new Set([undefined, "application/json", "application/json; charset=utf-8"]);
const saneCorrelationId = /^[\w.:/+=@-]{1,128}$/;

export type FrontDeps = {
  app: HttpApp;
  keyring: Keyring;
  settings: () => GatewaySettings;
  logger: Logger;
};

export type FrontCall = { incoming: IncomingMessage; outgoing: ServerResponse; startedMs: number; tenant: string };
export type FrontSpan = {
  span: Span;
  /** What the span began under. */
  parent: Context;
  traceparent: string;
  traceId: string;
  correlationId: string;
};

export type FrontRoute = {
  /** Of a POST. */
  path: string;
  /** The least role that may call. */
  role: Role;
  answer(call: FrontCall, bytes: Buffer): Promise<void>;
};

/** The way in for one route: a known caller and a small body of JSON without a limit to check; the rest is the app's. */
export function makeFront({ keyring, settings, logger }: FrontDeps, { path, role, answer }: FrontRoute): Front {
  return (incoming, outgoing) => {
    if (incoming.url !== path || incoming.method !== "POST") return false;
    const { headers } = incoming;
    const length = Number(headers["content-length"]);
    if (!(length > 0 && length <= maxBodyBytes) || !jsonTypes.has(headers["content-type"])) return false;
    if (headers["content-encoding"] !== undefined || headers.origin !== undefined) return false;
    const gateway = settings();
    if (isLimited(gateway.rateLimit, "POST", path)) return false;
    const tenant = findTenant(incoming, gateway, keyring, role);
    if (tenant === undefined) return false;
    const startedMs = performance.now();
    readSmallBody(incoming, (bytes) => {
      answer({ incoming, outgoing, startedMs, tenant }, bytes).catch((error: unknown) => {
        logger.error({ err: error, path }, "a request failed outside the app");
        outgoing.destroy();
      });
    });
    return true;
  };
}

function findTenant(
  incoming: IncomingMessage,
  { auth }: GatewaySettings,
  keyring: Keyring,
  role: Role,
): string | undefined {
  if (auth === "none") return anonymous.tenant;
  const key = parseBearer(incoming.headers.authorization);
  const caller = key === undefined ? undefined : keyring.findKnown(key);
  return caller !== undefined && allows(caller.role, role) ? caller.tenant : undefined;
}

/** Calls back with the whole body, never when the client went away before its end. */
function readSmallBody(incoming: IncomingMessage, done: (bytes: Buffer) => void): void {
  let first: Buffer | undefined;
  let more: Buffer[] | undefined;
  incoming.on("data", (chunk: Buffer) => {
    if (first === undefined) first = chunk;
    else {
      more ??= [first];
      more.push(chunk);
    }
  });
  incoming.on("end", () => done(more === undefined ? (first ?? Buffer.alloc(0)) : Buffer.concat(more)));
  // The server's time-outs end a body that does not come; there is nobody left to answer.
  incoming.on("error", () => undefined);
}

/** The JSON of a body without escapes: no U+0000 or lone surrogate can be in it. Undefined: the app looks at it. */
export function parsePlain(bytes: Buffer): unknown {
  if (bytes.includes(backslash) || !isUtf8(bytes)) return undefined;
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}

export function startFrontSpan({ headers }: IncomingMessage, name: string): FrontSpan {
  const { traceparent, tracestate, "x-correlation-id": sent } = headers;
  const parent = traceparent === undefined ? ROOT_CONTEXT : extractContext({ traceparent, tracestate });
  const span = startSpan(name, { kind: SpanKind.SERVER, parent });
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    span,
    parent,
    traceId,
    traceparent: `00-${traceId}-${spanId}-0${traceFlags & 1}`,
    correlationId: typeof sent === "string" && saneCorrelationId.test(sent) ? sent : traceId,
  };
}

/** Sends a body of JSON with what every answer carries. */
export function sendPlain(
  { outgoing }: FrontCall,
  { traceparent, correlationId }: FrontSpan,
  status: number,
  body: Buffer,
): void {
  outgoing.writeHead(status, [
    "content-type",
    "application/json",
    "content-length",
    String(body.length),
    "traceparent",
    traceparent,
    "x-correlation-id",
    correlationId,
  ]);
  // As text of one byte a character, so that Node sends head and body in one write instead of two.
  outgoing.end(body.toString("latin1"), "latin1");
}

/** Metric, span and log line of an answer that went well: one line in so many, and always of a request whose trace is recorded. */
export function makeFrontRecord(
  path: string,
  logger: Logger,
  loggedEvery: number,
): (call: FrontCall, span: FrontSpan, status: number, fields?: Record<string, unknown>) => void {
  const seconds = histogram({
    name: "pricing_engine_http_request_duration_seconds",
    help: "Time from the first byte of a request to its answer, by route pattern.",
    labels: ["service", "method", "route", "status"],
  }).labels({ service: "gateway", method: "POST", route: path, status: "2xx" });
  const events = makePlainLogger(logger);
  let served = 0;
  return ({ startedMs, tenant }, { span, traceId, correlationId }, status, fields) => {
    const durationMs = performance.now() - startedMs;
    seconds.observe(durationMs / 1_000);
    served += 1;
    const recording = span.isRecording();
    if (recording) {
      span.setAttributes({ "http.request.method": "POST", "http.route": path, "http.response.status_code": status });
    }
    span.end();
    if (!recording && served % loggedEvery !== 0) return;
    events.info(
      { method: "POST", route: path, status, durationMs, traceId, correlationId, tenant, ...fields, served },
      "request",
    );
  };
}

export type ReplayHooks = {
  /** Notes what is known of the request already. */
  prepare?: (request: Request) => void;
  /** Whether the app came to no answer that may be sent. */
  isDropped?: (request: Request) => boolean;
  /** The span that it goes on under, in place of the one that the client named. */
  traceparent?: string;
};

/** Gives the request to the app, with the body that was read. */
export async function replay(
  app: HttpApp,
  path: string,
  { incoming, outgoing }: FrontCall,
  bytes: Buffer,
  { prepare, isDropped, traceparent }: ReplayHooks = {},
): Promise<void> {
  const headers = new Headers(headerPairs(incoming));
  if (traceparent !== undefined) headers.set("traceparent", traceparent);
  const request = new Request(`http://gateway${path}`, { method: "POST", headers, body: new Uint8Array(bytes) });
  prepare?.(request);
  const response = await app.fetch(request, {});
  if (isDropped?.(request) === true) return void incoming.socket.destroy();
  const body = Buffer.from(await response.arrayBuffer());
  response.headers.set("content-length", String(body.length));
  outgoing.writeHead(response.status, [...response.headers].flat());
  outgoing.end(body);
}

function headerPairs({ rawHeaders }: IncomingMessage): [string, string][] {
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    pairs.push([rawHeaders[index] ?? "", rawHeaders[index + 1] ?? ""]);
  }
  return pairs;
}
