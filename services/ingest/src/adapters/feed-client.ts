import { Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { Agent, errors, request } from "@pricing-engine/chassis/http-client";
import { FeedFault } from "../formats/feed-reader.ts";

export interface FeedRequest {
  readonly url: string;
  readonly token: string | undefined;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  /** Connect and headers, and each stretch of the body in which fewer than 64 KiB come. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export type FeedAnswer =
  | {
      readonly kind: "document";
      readonly contentType: string | undefined;
      readonly etag: string | undefined;
      readonly lastModified: string | undefined;
      /** Decompressed, in pieces of at most 64 KiB. @throws FeedFault, FeedStall and socket errors while it is read */
      readonly body: AsyncIterable<Uint8Array>;
    }
  | { readonly kind: "unchanged" }
  | { readonly kind: "refused"; readonly error: string; readonly retryAfterMs: number | undefined };

export interface FeedClient {
  fetch(request: FeedRequest): Promise<FeedAnswer>;
  close(): Promise<void>;
}

/** Too little of the body came in the time that there was. */
export class FeedStall extends Error {}

const stretchBytes = 64 * 1024;
export const maxDocumentBytes = 256 * 1024 * 1024;

export function makeFeedClient(): FeedClient {
  const agents = new Map<number, Agent>();
  const agentFor = (timeoutMs: number): Agent => {
    const known = agents.get(timeoutMs);
    if (known !== undefined) return known;
    const agent = new Agent({
      connect: { timeout: timeoutMs },
      headersTimeout: timeoutMs,
      // The stretches are measured here, without the time in which we do not read.
      bodyTimeout: 0,
      keepAliveTimeout: 4_000,
      maxHeaderSize: 16_384,
    });
    agents.set(timeoutMs, agent);
    return agent;
  };

  return {
    async fetch({ url, token, etag, lastModified, timeoutMs, signal }) {
      // undici counts the time of the headers from the moment when the request is on its way: the connect comes on top of it.
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(new FeedStall(`no answer within ${timeoutMs} ms`)), timeoutMs);
      const both = AbortSignal.any([signal, late.signal]);
      try {
        const { statusCode, headers, body } = await request(url, {
          dispatcher: agentFor(timeoutMs),
          signal: both,
          headers: {
            accept: "application/xml, text/xml, application/json;q=0.9, */*;q=0.1",
            "accept-encoding": "gzip",
            "user-agent": "pricing-engine-ingest",
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            ...(etag === undefined ? {} : { "if-none-match": etag }),
            ...(lastModified === undefined ? {} : { "if-modified-since": lastModified }),
          },
        });
        clearTimeout(timer);
        // A body that is not read to its end errs when it is dropped, and nobody listens then.
        body.on("error", () => undefined);
        // To whoever has not asked whether it changed it says nothing, and nothing was ever read.
        if (statusCode === 304 && (etag ?? lastModified) !== undefined) {
          await body.dump();
          return { kind: "unchanged" };
        }
        if (statusCode !== 200) {
          body.destroy();
          const retryAfterMs = parseRetryAfter(text(headers["retry-after"]));
          return { kind: "refused", error: `http_status: ${statusCode}`, retryAfterMs };
        }
        const encoding = text(headers["content-encoding"])?.trim().toLowerCase();
        const raw = withoutStalls(body, timeoutMs);
        return {
          kind: "document",
          contentType: text(headers["content-type"]),
          etag: text(headers.etag),
          lastModified: lastingTime(text(headers["last-modified"]), text(headers.date)),
          body: limited(encoding === undefined || encoding === "identity" ? raw : decompress(raw, encoding)),
        };
      } finally {
        clearTimeout(timer);
      }
    },
    async close() {
      await Promise.all([...agents.values()].map((agent) => agent.destroy()));
    },
  };
}

/** The body, as long as each 64 KiB come in time. Only waiting counts: while we work, nobody is slow but us. */
async function* withoutStalls(body: Readable, timeoutMs: number): AsyncIterable<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let waitedMs = 0;
  let bytes = 0;
  try {
    for (;;) {
      const startedMs = performance.now();
      const result = await within(iterator.next(), timeoutMs - waitedMs);
      if (result.done === true) return;
      waitedMs += performance.now() - startedMs;
      bytes += result.value.length;
      if (bytes >= stretchBytes) {
        bytes = 0;
        waitedMs = 0;
      }
      yield result.value;
    }
  } catch (error) {
    yield* leftIn(body);
    throw error;
  } finally {
    body.destroy();
  }
}

/** What came before a stream broke off and was not read by then: whole plans may be in it. */
function* leftIn(stream: Readable): Iterable<Uint8Array> {
  for (;;) {
    const chunk = stream.read() as Uint8Array | null;
    if (chunk === null) return;
    yield chunk;
  }
}

async function within<T>(work: Promise<T>, limitMs: number): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new FeedStall("less than 64 KiB came in time")), Math.max(0, limitMs));
  work.catch(() => undefined);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * In pieces as large as what counts as progress, however much lay waiting: so the text of a piece need not be cut, and to read one that
 * was cut takes twice the time (decision 0041).
 */
async function* limited(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxDocumentBytes) throw new FeedFault("too_large", "the document is larger than 256 MiB");
    for (let from = 0; from < chunk.length; from += stretchBytes) yield chunk.subarray(from, from + stretchBytes);
  }
}

function decompress(raw: AsyncIterable<Uint8Array>, encoding: string): AsyncIterable<Uint8Array> {
  const inflate = makeInflate(encoding);
  let broken: unknown;
  // A body that breaks off ends the input: what came is unpacked before anybody hears of it.
  async function* untilBroken(): AsyncIterable<Uint8Array> {
    try {
      yield* raw;
    } catch (error) {
      broken = error;
    }
  }
  // Its failure is the one that reading `inflate` throws.
  pipeline(Readable.from(untilBroken(), { objectMode: false }), inflate).catch(() => undefined);
  return inflated(inflate, () => broken);
}

async function* inflated(inflate: Transform, findBroken: () => unknown): AsyncIterable<Uint8Array> {
  try {
    yield* inflate;
  } catch (error) {
    yield* leftIn(inflate);
    throw findBroken() ?? inflateFault(error);
  }
  const broken = findBroken();
  if (broken !== undefined) throw broken;
}

function inflateFault(error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "Z_BUF_ERROR") return new FeedFault("truncated", "the compressed document ends in its middle");
  const isBroken = typeof code === "string" && code.startsWith("Z_");
  return isBroken ? new FeedFault("encoding", "the compression is broken") : error;
}

function makeInflate(encoding: string): Transform {
  switch (encoding) {
    case "gzip":
    case "x-gzip":
      return createGunzip({ chunkSize: stretchBytes });
    case "deflate":
      return createInflate({ chunkSize: stretchBytes });
    case "br":
      return createBrotliDecompress({ chunkSize: stretchBytes });
    default:
      throw new FeedFault("encoding", `the content encoding ${JSON.stringify(encoding.slice(0, 40))} is not supported`);
  }
}

function text(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/**
 * When the document was changed, where that tells it from the next one. It counts in seconds: a document that is younger than one may be
 * changed again within it, and a 304 would hide that for good (RFC 9110, 8.8.2.2). Both times are by the provider's clock.
 */
function lastingTime(lastModified: string | undefined, date: string | undefined): string | undefined {
  const ageMs = Date.parse(date ?? "") - Date.parse(lastModified ?? "");
  return ageMs < 1_000 ? undefined : lastModified;
}

/** Seconds, or a date by the provider's clock, which is not trusted: that counts as absent. */
function parseRetryAfter(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,6}$/.test(value.trim()) ? Number(value) * 1000 : undefined;
}

/** What went wrong on the way, in a few words for people; undefined when it is nothing that a provider can bring about. */
export function findFetchFailure(error: unknown): string | undefined {
  if (error instanceof FeedFault) return `${error.kind}: ${error.message}`;
  if (error instanceof FeedStall) return `timeout: ${error.message}`;
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.ConnectTimeoutError) {
    return `timeout: ${error.message}`;
  }
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  // Node's own errors are ours, but for those of TLS: certificates and handshakes are the provider's.
  const isOurs = code?.startsWith("ERR_") === true && !/^ERR_(?:TLS|SSL)_/.test(code);
  return code === undefined || isOurs ? undefined : `connection: ${code}`;
}
