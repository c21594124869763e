import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { createGzip, gzipSync } from "node:zlib";
import { type Behaviour, behaviourSchema, makeRandom, pickLatencyMs } from "./behaviour.ts";
import { entityBomb, largeFeed, prepareLargeFeed } from "./large-feed.ts";

/** What was asked of a feed. */
export interface FeedLog {
  requests: number;
  /** Answers by status; 0: none was given. */
  answers: Record<string, number>;
  conditional: number;
  /** Requests that were being answered at the same moment, at most. */
  concurrent: number;
}

interface Feed {
  behaviour: Behaviour;
  large: readonly Buffer[] | undefined;
  served: number;
  open: number;
  log: FeedLog;
}

export interface Provider {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * A provider of feeds that behaves as badly as it is told: `GET /feeds/<feed>`, `PUT /control/<feed>` with a behaviour,
 * `GET /control/<feed>` for what was asked of it.
 */
export async function startProvider(options: {
  port: number;
  seed: number;
  feeds?: Record<string, Partial<Behaviour>>;
}): Promise<Provider> {
  const random = makeRandom(options.seed);
  const feeds = new Map<string, Feed>();
  const feedOf = (name: string): Feed => {
    const feed = feeds.get(name) ?? {
      behaviour: behaviourSchema.parse({}),
      large: undefined,
      served: 0,
      open: 0,
      log: { requests: 0, answers: {}, conditional: 0, concurrent: 0 },
    };
    feeds.set(name, feed);
    return feed;
  };
  for (const [name, behaviour] of Object.entries(options.feeds ?? {})) {
    feedOf(name).behaviour = behaviourSchema.parse(behaviour);
  }

  const server: Server = createServer((incoming, outgoing) => {
    const [, kind, name = ""] = (incoming.url ?? "/").replace(/\?.*$/, "").split("/");
    const answered =
      kind === "feeds"
        ? serve(feedOf(name), incoming, outgoing)
        : kind === "control"
          ? control(feedOf(name), incoming, outgoing)
          : Promise.resolve(outgoing.writeHead(404).end());
    answered.catch(() => outgoing.destroy());
  });

  async function serve(feed: Feed, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { behaviour, log } = feed;
    log.requests += 1;
    feed.open += 1;
    log.concurrent = Math.max(log.concurrent, feed.open);
    if (incoming.headers["if-none-match"] !== undefined) log.conditional += 1;
    outgoing.once("close", () => {
      feed.open -= 1;
      const status = outgoing.headersSent ? outgoing.statusCode : 0;
      log.answers[status] = (log.answers[status] ?? 0) + 1;
    });
    if (behaviour.mode === "hang") return;
    const latencyMs = pickLatencyMs(behaviour.latencyMeanMs, random);
    if (latencyMs > 0) await delay(latencyMs);
    if (behaviour.mode === "reset") {
      incoming.socket.resetAndDestroy();
      return;
    }
    if (random() < behaviour.failureRate) {
      outgoing.writeHead(503).end();
      return;
    }
    if (behaviour.mode === "large") return sendLarge(feed, incoming, outgoing);
    sendDocument(feed, incoming, outgoing);
  }

  function sendDocument(feed: Feed, incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { behaviour } = feed;
    const count = behaviour.documents.length;
    const index = behaviour.cycle ? feed.served % Math.max(1, count) : Math.min(feed.served, count - 1);
    feed.served += 1;
    const text = textOf(behaviour, behaviour.documents[index] ?? "<planList><output/></planList>");
    let body = Buffer.from(text, behaviour.mode === "encoding" ? "latin1" : "utf8");
    const etag = `"${createHash("sha256").update(body).digest("hex").slice(0, 16)}"`;
    if (behaviour.etag && behaviour.mode === "ok" && incoming.headers["if-none-match"] === etag) {
      outgoing.writeHead(304, { etag }).end();
      return;
    }
    const zipped = behaviour.gzip && /\bgzip\b/.test(incoming.headers["accept-encoding"] ?? "");
    if (zipped) body = gzipSync(body);
    const headers: Record<string, string | number> = {
      "content-type": behaviour.mode === "html" ? "text/html" : behaviour.contentType,
      "content-length": body.length,
      ...(behaviour.etag ? { etag } : {}),
      ...(zipped || behaviour.mode === "gzip-lie" ? { "content-encoding": "gzip" } : {}),
    };
    const part = body.subarray(0, Math.floor(body.length * behaviour.keepShare));
    switch (behaviour.mode) {
      case "truncate":
        outgoing.writeHead(200, headers).write(part, () => outgoing.destroy());
        return;
      case "cut":
        outgoing.writeHead(200, { ...headers, "content-length": part.length }).end(part);
        return;
      case "stall":
        outgoing.writeHead(200, headers).write(part);
        return;
      default:
        outgoing.writeHead(200, headers).end(body);
    }
  }

  async function sendLarge(
    { behaviour, large }: Feed,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
  ): Promise<void> {
    const etag = `"large-${behaviour.largeBytes}-${behaviour.largeVersion}"`;
    if (behaviour.etag && incoming.headers["if-none-match"] === etag) {
      outgoing.writeHead(304).end();
      return;
    }
    const zipped = behaviour.gzip && /\bgzip\b/.test(incoming.headers["accept-encoding"] ?? "");
    outgoing.writeHead(200, {
      "content-type": behaviour.contentType,
      ...(behaviour.etag ? { etag } : {}),
      ...(zipped ? { "content-encoding": "gzip" } : {}),
    });
    const text = Readable.from(large ?? largeFeed(behaviour), { objectMode: false });
    if (zipped) await pipeline(text, createGzip({ level: 1 }), outgoing);
    else await pipeline(text, outgoing);
  }

  async function control(feed: Feed, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    if (incoming.method === "PUT") {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
      feed.behaviour = behaviourSchema.parse(JSON.parse(Buffer.concat(chunks).toString("utf8")));
      feed.large = feed.behaviour.mode === "large" ? prepareLargeFeed(feed.behaviour) : undefined;
      feed.served = 0;
    }
    const body = JSON.stringify({ behaviour: feed.behaviour, log: feed.log });
    outgoing.writeHead(200, { "content-type": "application/json" }).end(body);
  }

  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(options.port, "127.0.0.1", resolve);
  await promise;
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

function textOf({ mode }: Behaviour, document: string): string {
  switch (mode) {
    case "html":
      return "<html><head><title>Busy</title></head><body><h1>We are busy</h1></body></html>";
    case "bomb":
      return entityBomb;
    case "encoding":
      return '<?xml version="1.0" encoding="UTF-8"?><planList><output><base_plan base_plan_id="9" sell_mode="online" title="Ñandú"></base_plan></output></planList>';
    default:
      return document;
  }
}
