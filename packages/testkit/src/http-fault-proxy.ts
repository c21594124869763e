import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, createServer, request } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";

/** What a proxy may do to one request instead of passing it on and its answer back. */
export type RequestFault =
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: unknown;
    }
  /** The server never hears of it, and no answer comes. */
  | { readonly kind: "silence" }
  | { readonly kind: "reset" }
  | { readonly kind: "delay"; readonly delayMs: number }
  /** Passed on when the promise is settled. */
  | { readonly kind: "hold"; readonly until: Promise<unknown> }
  /** The server does it, and the client never learns. */
  | { readonly kind: "lose-answer" }
  /** Asks the server for something else. */
  | { readonly kind: "rewrite"; readonly url: (url: URL) => void };

export interface SeenRequest {
  readonly method: string;
  readonly url: URL;
  /** `performance.now()`. */
  readonly atMs: number;
}

export type RequestMatch = (request: SeenRequest) => boolean;

/** An answer that is still under way, such as a watch. */
export interface OpenStream {
  readonly request: SeenRequest;
  /** Bytes stop coming, and the connection stays. */
  silence(): void;
  /** Half of the next chunk comes, then a reset. */
  cutInChunk(): void;
  reset(): void;
  /** Puts a line of its own into the stream. */
  write(text: string): void;
  /** Ends it orderly. */
  end(): void;
}

/** Stands between a client and an HTTPS server, in the server's name, with faults to switch on. */
export interface HttpFaultProxy extends AsyncDisposable {
  readonly url: string;
  /** All that came, oldest first. */
  readonly requests: readonly SeenRequest[];
  connectionsTaken(): number;
  /** The next `times` requests that match; later faults come after earlier ones are used up. Returns what ends it. */
  inject(fault: RequestFault, match: RequestMatch, times?: number): () => void;
  streams(match?: RequestMatch): readonly OpenStream[];
  /** Resets every connection, and refuses new ones until `restore`. */
  cut(): void;
  /** Connections stay and are taken, but nothing passes until `restore`; what was under way then is lost. */
  silence(): void;
  restore(): void;
  close(): Promise<void>;
}

interface Injected {
  readonly fault: RequestFault;
  readonly match: RequestMatch;
  left: number;
}

export async function startHttpFaultProxy(options: {
  readonly target: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly caPem: string;
}): Promise<HttpFaultProxy> {
  const agent = new Agent({ ca: options.caPem, keepAlive: true });
  const requests: SeenRequest[] = [];
  const injected: Injected[] = [];
  const sockets = new Set<Duplex>();
  const open = new Set<OpenStream>();
  let state: "open" | "cut" | "silent" = "open";
  let taken = 0;

  const server = createServer({ cert: options.certificatePem, key: options.keyPem }, (incoming, answer) => {
    incoming.once("error", () => undefined);
    answer.once("error", () => undefined);
    handle(incoming, answer).catch(() => incoming.socket.destroy());
  });
  server.on("connection", (socket: Duplex) => {
    socket.on("error", () => undefined);
    if (state === "cut") {
      socket.destroy();
      return;
    }
    taken++;
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  function takeFault(seen: SeenRequest): RequestFault | undefined {
    const found = injected.find(({ left, match }) => left > 0 && match(seen));
    if (found !== undefined) found.left--;
    return found?.fault;
  }

  async function handle(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? "/", options.target);
    const seen: SeenRequest = { method: incoming.method ?? "GET", url: new URL(url), atMs: performance.now() };
    requests.push(seen);
    if (state === "silent") return;
    const fault = takeFault(seen);
    switch (fault?.kind) {
      case "answer":
        incoming.resume();
        answer.writeHead(fault.status, { "content-type": "application/json", ...fault.headers });
        answer.end(fault.body === undefined ? "" : JSON.stringify(fault.body));
        return;
      case "silence":
        return;
      case "reset":
        incoming.socket.destroy();
        return;
      case "delay":
        await delay(fault.delayMs);
        break;
      case "hold":
        await fault.until;
        break;
      case "rewrite":
        fault.url(url);
        break;
      default:
    }
    await pass(incoming, answer, url, seen, fault?.kind === "lose-answer");
  }

  async function pass(
    incoming: IncomingMessage,
    answer: ServerResponse,
    url: URL,
    seen: SeenRequest,
    loseAnswer: boolean,
  ): Promise<void> {
    const { host: _, ...headers } = incoming.headers;
    const outgoing = request(url, { method: seen.method, headers, agent });
    answer.once("close", () => outgoing.destroy());
    outgoing.once("error", () => incoming.socket.destroy());
    incoming.pipe(outgoing);
    const [reply] = (await once(outgoing, "response")) as [IncomingMessage];
    if (loseAnswer) {
      reply.resume();
      await once(reply, "end");
      incoming.socket.destroy();
      return;
    }
    if (state === "silent") return;
    relay(reply, answer, seen);
  }

  function relay(reply: IncomingMessage, answer: ServerResponse, seen: SeenRequest): void {
    let mode: "pass" | "silent" | "cut-in-chunk" = "pass";
    const stream: OpenStream = {
      request: seen,
      silence: () => {
        mode = "silent";
      },
      cutInChunk: () => {
        mode = "cut-in-chunk";
      },
      reset: () => void answer.socket?.destroy(),
      write: (text) => void answer.write(text),
      end: () => {
        mode = "silent";
        answer.end();
      },
    };
    open.add(stream);
    answer.once("close", () => open.delete(stream));
    answer.writeHead(reply.statusCode ?? 502, reply.headers);
    answer.flushHeaders();
    reply.on("data", (chunk: Buffer) => {
      if (mode === "silent" || state === "silent") return;
      if (mode === "pass") {
        answer.write(chunk);
        return;
      }
      mode = "silent";
      answer.write(chunk.subarray(0, chunk.length / 2), () => answer.socket?.destroy());
    });
    reply.once("end", () => {
      if (mode === "pass" && state !== "silent") answer.end();
    });
    reply.once("error", () => answer.socket?.destroy());
  }

  const destroyAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    destroyAll();
    agent.destroy();
    await closed;
  };
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    connectionsTaken: () => taken,
    inject(fault, match, times = 1) {
      const entry = { fault, match, left: times };
      injected.push(entry);
      return () => {
        entry.left = 0;
      };
    },
    streams: (match = () => true) => [...open].filter((stream) => match(stream.request)),
    cut() {
      state = "cut";
      destroyAll();
    },
    silence() {
      state = "silent";
    },
    restore() {
      state = "open";
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
