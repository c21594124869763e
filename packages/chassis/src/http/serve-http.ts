import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { getRequestListener } from "@hono/node-server";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import { AppError, type ErrorCode, errorCatalogue, toProblem } from "../errors/index.ts";
import type { Lifecycle } from "../lifecycle/index.ts";
import { SpanKind, startSpan } from "../telemetry/index.ts";
import type { HttpApp } from "./make-http-app.ts";
import { problemResponse } from "./problem-response.ts";

export type ServeOptions = {
  app: HttpApp;
  /**
   * Looks at each request before the app does; true when it answers it. For the one route where the app's own costs
   * count; it must keep what the app promises (ids, metrics, problems).
   */
  front?: (incoming: IncomingMessage, outgoing: ServerResponse) => boolean;
  /** 0 = any free port. */
  port: number;
  host?: string;
  lifecycle: Lifecycle;
  /** Several processes share the port; the kernel spreads connections. */
  reusePort?: boolean;
  /** Milliseconds for the whole request to arrive. */
  requestTimeoutMs?: number;
  /** Requests whose body may take `streamedTimeoutMs` instead: an import. */
  streams?: (incoming: IncomingMessage) => boolean;
  streamedTimeoutMs?: number;
  headersTimeoutMs?: number;
  keepAliveTimeoutMs?: number;
  /** Milliseconds that requests in flight may take to end once nothing new is accepted. */
  drainMs?: number;
  /**
   * Milliseconds for which a stopping process still takes what arrives, answering with `Connection: close`. Closed at once, a
   * kept connection breaks under the request that its client is just sending; for where a proxy holds connections.
   */
  lingerMs?: number;
};

export type HttpServer = { port: number; close(): Promise<void> };

/**
 * Listens. When the lifecycle ends it lets clients go for `lingerMs`, then stops accepting, closes idle connections, lets
 * requests in flight finish with `Connection: close`, and cuts what is left after `drainMs`.
 */
export async function serveHttp(options: ServeOptions): Promise<HttpServer> {
  const { app, front, port, host = "127.0.0.1", lifecycle, reusePort = false } = options;
  const { drainMs = 10_000, lingerMs = 0 } = options;
  const { requestTimeoutMs = 30_000, headersTimeoutMs = 10_000, keepAliveTimeoutMs = 65_000 } = options;
  const { streams = () => false, streamedTimeoutMs = requestTimeoutMs } = options;
  const listener = getRequestListener(app.fetch, {
    // Unread bodies are drained by answerThenDrain, which lets the client read the answer first.
    autoCleanupIncoming: false,
    // Targets and hosts that are no URL never reach the app.
    errorHandler: (error) => {
      const { traceId, headers } = newIds();
      const response = problemResponse(new AppError("bad_request", { cause: error }), traceId);
      for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
      return response;
    },
  });
  const server = createServer({
    requestTimeout: Math.max(requestTimeoutMs, streamedTimeoutMs),
    headersTimeout: Math.min(headersTimeoutMs, requestTimeoutMs),
    keepAliveTimeout: keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, requestTimeoutMs),
    noDelay: true,
    // Node would answer a request without a host itself, with nothing; the listener above refuses it too.
    requireHostHeader: false,
  });
  // An unknown expectation may be passed over; Node's own answer to it is no problem+json.
  server.on("checkExpectation", (incoming, outgoing) => server.emit("request", incoming, outgoing));
  server.on("request", (incoming, outgoing) => {
    if (front?.(incoming, outgoing) !== true) void listener(incoming, outgoing);
  });

  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  const answering = new WeakMap<Socket, ServerResponse>();
  // A connection that waits for its next request would keep the last one alive: each would grow old, and the old are collected
  // in a long stop.
  function forget(this: ServerResponse) {
    const { socket } = this.req;
    if (answering.get(socket) === this) answering.delete(socket);
  }
  let draining = false;
  server.prependListener("request", (incoming: IncomingMessage, outgoing: ServerResponse) => {
    answering.set(incoming.socket, outgoing);
    outgoing.once("close", forget);
    if (draining) outgoing.setHeader("connection", "close");
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    refuseConnection(error, socket, answering.get(socket));
  });

  if (streamedTimeoutMs > requestTimeoutMs) {
    const late = Object.assign(new Error("the body took too long"), { code: "ERR_HTTP_REQUEST_TIMEOUT" });
    const refuseSlow = watchBodies({ sockets, answering, streams, timeoutMs: requestTimeoutMs }, (socket) =>
      refuseConnection(late, socket, answering.get(socket)),
    );
    const sweep = setInterval(refuseSlow, Math.min(1_000, requestTimeoutMs / 2));
    server.once("close", () => clearInterval(sweep));
  }

  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ port, host, reusePort }, resolve);
  await listening;
  server.off("error", reject);

  let closing: Promise<void> | undefined;
  const close = () => {
    draining = true;
    for (const socket of sockets) {
      const outgoing = answering.get(socket);
      if (outgoing?.headersSent === false) outgoing.setHeader("connection", "close");
    }
    closing ??= delay(lingerMs).then(() => closeServer(server, sockets, drainMs));
    return closing;
  };
  lifecycle.defer("http server", close);
  return { port: (server.address() as AddressInfo).port, close };
}

/**
 * Node has one time-out for all requests; this is the shorter one, for bodies that are not streamed. Looked at now and then, so
 * that a request whose body comes with it costs nothing.
 */
function watchBodies(
  options: {
    sockets: ReadonlySet<Socket>;
    answering: WeakMap<Socket, ServerResponse>;
    streams: (incoming: IncomingMessage) => boolean;
    timeoutMs: number;
  },
  refuse: (socket: Socket) => void,
): () => void {
  const firstSeenMs = new WeakMap<IncomingMessage, number>();
  return () => {
    const nowMs = performance.now();
    for (const socket of options.sockets) {
      const outgoing = options.answering.get(socket);
      // What was answered already is drained, within a time of its own.
      if (outgoing === undefined || outgoing.headersSent || outgoing.req.complete || options.streams(outgoing.req))
        continue;
      const sinceMs = firstSeenMs.get(outgoing.req);
      if (sinceMs === undefined) firstSeenMs.set(outgoing.req, nowMs);
      else if (nowMs - sinceMs > options.timeoutMs) refuse(socket);
    }
  };
}

async function closeServer(server: Server, sockets: ReadonlySet<Socket>, drainMs: number): Promise<void> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const dropIdle = () => {
    server.closeIdleConnections();
    // To Node a connection that has not sent a byte yet is not idle but a request that is arriving.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  };
  server.close(() => resolve());
  dropIdle();
  // A busy connection becomes idle later; a keep-alive client would hold it open.
  const sweep = setInterval(dropIdle, 50);
  const limit = setTimeout(() => server.closeAllConnections(), drainMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(limit);
}

/** What never became a request (or stopped arriving): answered on the bare socket, where nothing was answered yet. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Socket, current: ServerResponse | undefined): void {
  const begun = current?.headersSent === true && !current.writableFinished;
  if (error.code === "ECONNRESET" || !socket.writable || begun) {
    socket.destroy();
    return;
  }
  const code = codeOf(error);
  const { traceId, headers } = newIds();
  const body = JSON.stringify(toProblem(new AppError(code), traceId));
  const { status, title } = errorCatalogue[code];
  const lines = Object.entries({
    ...headers,
    "content-type": "application/problem+json",
    "content-length": Buffer.byteLength(body),
    connection: "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${title}\r\n${lines.join("")}\r\n${body}`);
}

/** What every answer carries, for one that never reached the app. */
function newIds(): { traceId: string; headers: Record<string, string> } {
  const span = startSpan("refused", { kind: SpanKind.SERVER, parent: ROOT_CONTEXT });
  span.end();
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    traceId,
    headers: { traceparent: `00-${traceId}-${spanId}-0${traceFlags & 1}`, "x-correlation-id": traceId },
  };
}

function codeOf(error: NodeJS.ErrnoException): ErrorCode {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return "headers_too_large";
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return "request_timeout";
    default:
      return "bad_request";
  }
}
