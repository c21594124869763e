import type { IncomingMessage } from "node:http";
import { AppError } from "../errors/index.ts";
import type { HttpContext } from "./make-http-app.ts";

const defaultLimitBytes = 1024 * 1024;
const empty = new Uint8Array();

/**
 * The raw body, at most the route's limit (1 MiB unless limitBody says otherwise). A declared length above it is
 * refused before a byte is read, a chunked body when it passes the limit.
 * @throws AppError payload_too_large, bad_request when the client stopped in the middle
 */
export async function readBody(c: HttpContext): Promise<Uint8Array> {
  const limitBytes = c.get("bodyLimit") ?? defaultLimitBytes;
  const declared = c.req.header("content-length");
  if (declared !== undefined && Number(declared) > limitBytes) throw tooLarge(limitBytes);
  const incoming = c.env?.incoming;
  if (incoming === undefined) return readStream(c.req.raw.body, limitBytes);
  if (declared === undefined && c.req.header("transfer-encoding") === undefined) return empty;
  return readIncoming(incoming, limitBytes);
}

/** Straight from the socket's stream: a web stream around it costs more than all the rest of a small request. */
function readIncoming(incoming: IncomingMessage, limitBytes: number): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const chunks: Buffer[] = [];
  let size = 0;
  const onData = (chunk: Buffer) => {
    size += chunk.length;
    if (size > limitBytes) {
      incoming.pause();
      reject(tooLarge(limitBytes));
    } else chunks.push(chunk);
  };
  const onEnd = () => {
    // It comes in the same turn: an error would be made for nobody, with its stack.
    incoming.off("close", onGone);
    resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
  };
  const onGone = () => reject(new AppError("bad_request", { detail: "the body ended early" }));
  incoming.on("data", onData).on("end", onEnd).on("error", onGone).on("close", onGone);
  return promise.finally(() =>
    incoming.off("data", onData).off("end", onEnd).off("error", onGone).off("close", onGone),
  );
}

async function readStream(body: ReadableStream<Uint8Array> | null, limitBytes: number): Promise<Uint8Array> {
  if (body === null) return empty;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > limitBytes) throw tooLarge(limitBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(limitBytes: number): AppError {
  return new AppError("payload_too_large", { detail: `at most ${limitBytes} bytes are accepted here` });
}
