import { once } from "node:events";
import { IncomingMessage, ServerResponse } from "node:http";
import { createConnection, type Socket } from "node:net";
import { queryObjects } from "node:v8";
import { pino } from "pino";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { makeHttpApp, parseBody, type ServeOptions, serveHttp } from "../src/http/index.ts";
import { makeLifecycle } from "../src/lifecycle/index.ts";

const logger = pino({ level: "silent" });
const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function start(options: Partial<ServeOptions> = {}) {
  const lifecycle = makeLifecycle({ logger, graceMs: 5_000 });
  const app = makeHttpApp({ logger, name: "test" });
  const held = Promise.withResolvers<void>();
  const entered = Promise.withResolvers<void>();
  app.post("/echo", async (c) => c.json({ size: JSON.stringify(await parseBody(c, z.unknown())).length }));
  app.get("/hold", async (c) => {
    entered.resolve();
    await held.promise;
    return c.json({ held: true });
  });
  const { port } = await serveHttp({ app, port: 0, lifecycle, ...options });
  stops.push(() => {
    held.resolve();
    return lifecycle.shutdown("test");
  });
  return { port, lifecycle, base: `http://127.0.0.1:${port}`, held, entered };
}

/** Sends the text and resolves with all that came back once the server has closed, or `until` matches. */
async function exchange(port: number, text: string, until?: RegExp): Promise<string> {
  const socket = createConnection(port, "127.0.0.1");
  socket.write(text);
  return receive(socket, until);
}

async function receive(socket: Socket, until?: RegExp): Promise<string> {
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk;
    if (until?.test(received)) socket.destroy();
  });
  socket.on("error", () => {});
  await new Promise((closed) => socket.once("close", closed));
  return received;
}

describe("a kept connection", () => {
  it("holds nothing of what it has answered", async () => {
    const { port } = await start();
    const alive = () => [queryObjects(IncomingMessage), queryObjects(ServerResponse)];
    const [requests = 0, responses = 0] = alive();
    const request = "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    const kept = Array.from({ length: 20 }, () => createConnection(port, "127.0.0.1"));
    for (const socket of kept) {
      socket.write(request);
      expect(String(await once(socket, "data"))).toMatch(/^HTTP\/1.1 200.*connection: keep-alive/is);
    }
    await expect.poll(alive).toEqual([requests, responses]);
    for (const socket of kept) socket.destroy();
  });
});

describe("a body that is too large", () => {
  it.each([2, 20])("of %d MiB: fetch reads the 413", async (mebibytes) => {
    const { base } = await start();
    const body = `"${"a".repeat(mebibytes * 1024 * 1024)}"`;
    const response = await fetch(`${base}/echo`, {
      method: "POST",
      body,
      headers: { "content-type": "application/json" },
    });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ code: "payload_too_large" });
    expect(
      (await fetch(`${base}/echo`, { method: "POST", body: "[1]", headers: { "content-type": "application/json" } }))
        .status,
    ).toBe(200);
  });

  it("is answered before it has arrived", async () => {
    const { port } = await start();
    const head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2097152\r\n\r\n";
    expect(await exchange(port, head, /"traceId":"[0-9a-f]+"\}/)).toMatch(/^HTTP\/1\.1 413 /);
  });

  it("can be read by a client that sends it all first and asks to close", async () => {
    const { port } = await start();
    const size = 4 * 1024 * 1024;
    const head = `POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: ${size}\r\n\r\n`;
    expect(await exchange(port, head + "a".repeat(size))).toMatch(/^HTTP\/1\.1 413 [\s\S]*payload_too_large/);
  });

  it("is noticed in chunks without a length, and the connection goes on", async () => {
    const { port } = await start();
    const chunk = `100000\r\n${"1".repeat(0x100000)}\r\n`;
    const head = "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    const next = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n[1]";
    const received = await exchange(port, `${head}${chunk}${chunk}0\r\n\r\n${next}`, /"size":3/);
    expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 413", "HTTP/1.1 200"]);
  });

  it("is cut off after 8 MiB", async () => {
    const { port } = await start();
    const socket = createConnection(port, "127.0.0.1");
    const received = receive(socket);
    socket.write("POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    const chunk = `100000\r\n${"1".repeat(0x100000)}\r\n`;
    let sentMebibytes = 0;
    while (!socket.destroyed && sentMebibytes < 64) {
      sentMebibytes++;
      if (!socket.write(chunk)) await Promise.race([once(socket, "drain"), once(socket, "close")]).catch(() => {});
    }
    await received;
    expect(sentMebibytes).toBeGreaterThan(8);
    expect(sentMebibytes).toBeLessThan(40);
  });
});

describe("what is no request", () => {
  it.each([
    ["a bad method", "FOO\x01 / HTTP/1.1\r\nhost: a\r\n\r\n", 400, "bad_request"],
    ["nonsense", "hello\r\n\r\n", 400, "bad_request"],
    ["a bad length", "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n", 400, "bad_request"],
    [
      "two lengths",
      "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
      400,
      "bad_request",
    ],
    [
      "length and chunks",
      "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
      400,
      "bad_request",
    ],
    ["huge headers", `GET / HTTP/1.1\r\nhost: a\r\nx: ${"a".repeat(20_000)}\r\n\r\n`, 431, "headers_too_large"],
    ["no host", "GET / HTTP/1.1\r\nconnection: close\r\n\r\n", 400, "bad_request"],
    ["a bad host", "GET / HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n", 400, "bad_request"],
  ])("%s", async (_name, text, status, code) => {
    const { port } = await start();
    const received = await exchange(port, text);
    expect(received).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(received).toContain(`"code":"${code}"`);
    const traceId = /"traceId":"([0-9a-f]{32})"/.exec(received)?.[1];
    expect(received).toMatch(new RegExp(`^traceparent: 00-${traceId}-[0-9a-f]{16}-00\r$`, "m"));
    expect(received).toMatch(new RegExp(`^x-correlation-id: ${traceId}\r$`, "m"));
  });

  it("an unknown expectation is passed over", async () => {
    const { port } = await start();
    const head = "POST /echo HTTP/1.1\r\nhost: a\r\nexpect: more\r\nconnection: close\r\ncontent-length: 3\r\n\r\n";
    expect(await exchange(port, `${head}[1]`)).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("a body that does not arrive is a 408", async () => {
    const { port } = await start({ requestTimeoutMs: 300 });
    const text = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n[1";
    expect(await exchange(port, text)).toMatch(/^HTTP\/1\.1 408 [\s\S]*request_timeout/);
  });

  it("a body that does not arrive is a 408 also where others may take longer, and those may", async () => {
    const { port } = await start({
      requestTimeoutMs: 300,
      streamedTimeoutMs: 60_000,
      streams: ({ url }) => url === "/echo?long",
    });
    const head = "HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 3\r\n\r\n[1";
    const long = createConnection(port, "127.0.0.1");
    const answer = receive(long);
    long.write(`POST /echo?long ${head}`);
    const short = await exchange(port, `POST /echo ${head}`);
    expect(short).toMatch(/^HTTP\/1\.1 408 [\s\S]*request_timeout/);
    expect(short).toMatch(/^x-correlation-id: [0-9a-f]{32}\r$/m);
    // It began before the one that was refused.
    long.write("]");
    expect(await answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*"size":3/);
  });

  it("headers that do not arrive are a 408", async () => {
    const { port } = await start({ headersTimeoutMs: 300, requestTimeoutMs: 400 });
    expect(await exchange(port, "GET / HTTP/1.1\r\nho")).toMatch(/^HTTP\/1\.1 408 /);
  });
});

describe("stopping", () => {
  it("finishes what is in flight with Connection: close, refuses what is new, and drops idle connections", async () => {
    const { base, port, lifecycle, held, entered } = await start();
    const idle = createConnection(port, "127.0.0.1");
    await once(idle, "connect");
    const idleClosed = receive(idle);
    const inFlight = fetch(`${base}/hold`);
    await entered.promise;
    const stopped = lifecycle.shutdown("test");
    await idleClosed;
    await expect(fetch(`${base}/hold`)).rejects.toThrow();
    held.resolve();
    const response = await inFlight;
    expect(await response.json()).toEqual({ held: true });
    expect(response.headers.get("connection")).toBe("close");
    expect(await stopped).toBe(true);
  });

  it("lingers: a kept connection gets its answer, and is told to be the last", async () => {
    const { port, base, lifecycle } = await start({ lingerMs: 3_000 });
    const request = "POST /echo HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    const kept = createConnection(port, "127.0.0.1");
    kept.write(request);
    const [first] = await once(kept, "data");
    expect(String(first)).toMatch(/^HTTP\/1.1 200.*connection: keep-alive/is);
    const stopped = lifecycle.shutdown("test");
    const answer = receive(kept);
    kept.write(request);
    expect(await answer).toMatch(/^HTTP\/1.1 200.*connection: close/is);
    const fresh = await exchange(port, request);
    expect(fresh).toMatch(/^HTTP\/1.1 200.*connection: close/is);
    expect(await stopped).toBe(true);
    await expect(fetch(`${base}/hold`)).rejects.toThrow();
  });

  it("cuts what does not end", async () => {
    const { base, lifecycle, entered } = await start({ drainMs: 200 });
    const inFlight = fetch(`${base}/hold`).catch((error: unknown) => error);
    await entered.promise;
    const startedMs = performance.now();
    expect(await lifecycle.shutdown("test")).toBe(true);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    expect(await inFlight).toBeInstanceOf(Error);
  });
});

it("several servers share a port", async () => {
  const first = await start({ reusePort: true });
  const second = await start({ reusePort: true, port: first.port });
  expect(second.port).toBe(first.port);
});
