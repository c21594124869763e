import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Engine, startEngine } from "../support/engine.ts";

const mebibyte = 1024 * 1024;
let engine: Engine;

beforeAll(async () => {
  engine = await startEngine({ replicas: { "pricing-worker": 0 } });
});
afterAll(() => engine?.[Symbol.asyncDispose]());

interface Answer {
  readonly status: number | undefined;
  readonly type: string | undefined;
  readonly problem: { readonly code: string; readonly traceId: string };
}

/** Sends all of it, as `curl -T` would, whatever comes back meanwhile; rejects when the connection breaks before the answer has ended. */
async function send(path: string, headers: Record<string, string>, chunks: Iterable<Buffer>): Promise<Answer> {
  const outgoing = request(`${engine.url}${path}`, { method: "POST", headers });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  outgoing.once("response", resolve).on("error", reject);
  const answered = (async (): Promise<Answer> => {
    const incoming = await promise;
    let text = "";
    for await (const part of incoming.setEncoding("utf8")) text += part;
    return { status: incoming.statusCode, type: incoming.headers["content-type"], problem: JSON.parse(text) };
  })();
  for (const chunk of chunks) {
    if (outgoing.destroyed) break;
    if (outgoing.write(chunk)) continue;
    const drained = new AbortController();
    await Promise.race([once(outgoing, "drain", drained).catch(() => undefined), answered]);
    drained.abort();
  }
  outgoing.end();
  return answered;
}

function* spaces(count: number): Generator<Buffer> {
  const chunk = Buffer.alloc(mebibyte, " ");
  for (let index = 0; index < count; index += 1) yield chunk;
}

describe.each([
  ["5 MiB", 5],
  ["64 MiB", 64],
])("a body of %s", (_size, count) => {
  it.each([
    ["of one line", { "content-length": String(count * mebibyte) }],
    ["of one line in chunks, of a length that is not said", { "transfer-encoding": "chunked" }],
  ])("%s is refused as an import with a 413 that can be read", async (_how, headers) => {
    const type = { "content-type": "application/x-ndjson" };
    const answer = await send("/api/v1/products:import", { ...type, ...headers }, spaces(count));
    expect(answer).toMatchObject({
      status: 413,
      type: "application/problem+json",
      problem: { code: "payload_too_large", traceId: expect.stringMatching(/^[0-9a-f]{32}$/) },
    });
  });

  it("is refused as a price with a 413 that can be read", async () => {
    const headers = { "content-type": "application/json", "content-length": String(count * mebibyte) };
    const answer = await send("/api/v1/price", headers, spaces(count));
    expect(answer).toMatchObject({ status: 413, type: "application/problem+json" });
  });

  it("of a type that nobody reads is refused with a 415 that can be read", async () => {
    const headers = { "content-type": "image/png", "content-length": String(count * mebibyte) };
    const answer = await send("/api/v1/products:import", headers, spaces(count));
    expect(answer).toMatchObject({ status: 415, type: "application/problem+json" });
  });
});
