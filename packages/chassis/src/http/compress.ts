import { Readable } from "node:stream";
import { constants, createBrotliCompress, createGzip } from "node:zlib";
import type { MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { type Encoding, pickEncoding } from "./encoding.ts";
import type { HttpEnv } from "./make-http-app.ts";

export type CompressOptions = { thresholdBytes?: number };

const compressible =
  /^(?:text\/|application\/(?:[\w.+-]+\+)?(?:json|xml|yaml|javascript)\b|application\/x-ndjson|image\/svg)/i;

/**
 * Brotli or gzip for text above 1 KiB, as the client prefers. The body passes through as a stream, flushed with every
 * chunk when its length is not known, so that a long answer arrives as it is made.
 */
export function compressResponses({ thresholdBytes = 1_024 }: CompressOptions = {}): MiddlewareHandler<HttpEnv> {
  return createMiddleware<HttpEnv>(async (c, next) => {
    await next();
    const { res } = c;
    const { headers, status } = res;
    // A 304 says no type, and whoever stored the full answer must learn the same of it.
    if (status !== 304 && !compressible.test(headers.get("content-type") ?? "")) return;
    // An answer of another service that went through here may say it already.
    if (!/\baccept-encoding\b/i.test(headers.get("vary") ?? "")) headers.append("vary", "Accept-Encoding");
    const encoding = pickEncoding(c.req.header("accept-encoding"));
    if (encoding === undefined || c.req.method === "HEAD") return;
    if (status < 200 || status === 204 || status === 206 || status === 304 || headers.has("content-encoding")) return;
    if (/\bno-transform\b/i.test(headers.get("cache-control") ?? "")) return;

    const declared = headers.get("content-length");
    if (declared !== null && Number(declared) < thresholdBytes) return;
    const { body } = res;
    if (body === null) return;
    const [head, rest] = await peek(body, thresholdBytes);
    if (rest === undefined && head.byteLength < thresholdBytes) {
      c.res = new Response(head, { status, headers });
      return;
    }
    const changed = new Headers(headers);
    changed.set("content-encoding", encoding);
    changed.delete("content-length");
    const etag = changed.get("etag");
    // Another encoding is another representation: a strong tag would promise the same bytes.
    if (etag !== null && !etag.startsWith("W/")) changed.set("etag", `W/${etag}`);
    c.res = undefined;
    c.res = new Response(compress(head, rest, encoding), { status, headers: changed });
  });
}

/** The first bytes, and the rest of the stream; undefined when the body ended within `bytes`. */
async function peek(
  body: ReadableStream<Uint8Array>,
  bytes: number,
): Promise<[head: Uint8Array<ArrayBuffer>, rest: ReadableStreamDefaultReader<Uint8Array> | undefined]> {
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size < bytes) {
    const { done, value } = await reader.read();
    if (done) return [Buffer.concat(chunks), undefined];
    chunks.push(value);
    size += value.byteLength;
  }
  return [Buffer.concat(chunks), reader];
}

function compress(
  head: Uint8Array,
  rest: ReadableStreamDefaultReader<Uint8Array> | undefined,
  encoding: Encoding,
): ReadableStream {
  const encoder =
    encoding === "br"
      ? // Quality 4 costs about what gzip 6 does and is smaller; 11, the default, takes a hundred times as long.
        createBrotliCompress({
          params: { [constants.BROTLI_PARAM_QUALITY]: 4 },
          flush: constants.BROTLI_OPERATION_FLUSH,
        })
      : createGzip({ level: 6, flush: constants.Z_SYNC_FLUSH });
  async function* chunks() {
    yield head;
    if (rest === undefined) return;
    try {
      for (let part = await rest.read(); !part.done; part = await rest.read()) yield part.value;
    } finally {
      rest.cancel().catch(() => undefined);
    }
  }
  const source = Readable.from(chunks(), { objectMode: false });
  source.on("error", (error) => encoder.destroy(error));
  encoder.on("close", () => source.destroy());
  return Readable.toWeb(source.pipe(encoder)) as ReadableStream;
}
