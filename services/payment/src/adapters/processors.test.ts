import { once } from "node:events";
import { mkdtempSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SpanKind, withSpan } from "@pricing-engine/chassis/telemetry";
import { makeAuthority } from "@pricing-engine/testkit";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { makeHttpProcessors } from "./processors.ts";

const call = { id: "4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3", amountMinor: 1990, requestedAtMs: 0 };

async function open(answer: (request: IncomingMessage) => { status: number; body: string }) {
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => {
      const { status, body } = answer(request);
      response.writeHead(status).end(body);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const endpoint = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: undefined };
  const processors = makeHttpProcessors({ default: endpoint, fallback: endpoint }, { timeoutMs: 5_000 });
  onTestFinished(async () => {
    await processors.close();
    server.close();
  });
  return processors;
}

describe("a processor over HTTP", () => {
  it("is called under the payment's trace, whatever else is traced", async () => {
    const seen: unknown[] = [];
    const processors = await open(({ headers }) => {
      seen.push(headers.traceparent);
      return { status: 200, body: "{}" };
    });
    const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    await withSpan("process payments", { kind: SpanKind.CONSUMER }, () =>
      processors.pay("default", { ...call, trace: { traceparent } }),
    );
    expect(seen).toEqual([expect.stringMatching(/^00-a{32}-[\da-f]{16}-01$/)]);
  });

  it("is spoken to in HTTP/1.1, also when it offers HTTP/2, over which the client repeats requests", async () => {
    const { ca: _ca, serverFile } = makeAuthority(mkdtempSync(join(tmpdir(), "pricing-engine-processor-")), "nobody");
    const pem = readFileSync(serverFile);
    const versions: string[] = [];
    const server = createSecureServer({ key: pem, cert: pem, allowHTTP1: true }, (request, response) => {
      versions.push(request.httpVersion);
      request.resume();
      response.end("{}");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    const endpoint = { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, token: undefined };
    const processors = makeHttpProcessors({ default: endpoint, fallback: endpoint }, { timeoutMs: 5_000 });
    onTestFinished(async () => {
      vi.unstubAllEnvs();
      await processors.close();
      server.close();
    });
    expect(await processors.pay("default", call)).toMatchObject({ kind: "recorded" });
    expect(versions).toEqual(["1.1"]);
  });

  it.each([
    [200, "{}", "recorded"],
    [200, "<html>It works!</html>", "unknown"],
    [503, "failing", "refused"],
    [503, "upstream connect error or disconnect/reset before headers. reset reason: connection termination", "unknown"],
  ])("%i %j: %s", async (status, body, kind) => {
    const processors = await open(() => ({ status, body }));
    expect(await processors.pay("default", call)).toMatchObject({ kind });
  });
});
