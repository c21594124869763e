import { brotliDecompressSync, gunzipSync } from "node:zlib";
import fc from "fast-check";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { AppError } from "../errors/index.ts";
import { compressResponses } from "./compress.ts";
import { etagResponses } from "./etag.ts";
import { makeHttpApp } from "./make-http-app.ts";
import { limitBody, parseBody, parseParams, parseQuery } from "./parse.ts";

const itemSchema = z.object({ product_id: z.string().max(255), quantity: z.int().min(1).max(1_000_000).optional() });

function makeApp() {
  const app = makeHttpApp({ logger: pino({ level: "silent" }), name: "test" });
  app.post("/price", async (c) => c.json(await parseBody(c, itemSchema)));
  app.post("/batch", async (c) => c.json(await parseBody(c, z.strictObject({ items: z.array(itemSchema) }))));
  app.post("/maybe", async (c) => c.json({ body: (await parseBody(c, itemSchema.optional())) ?? null }));
  app.post("/small", limitBody(10), async (c) => c.json(await parseBody(c, z.unknown())));
  app.get("/items/:id", (c) => c.json(parseParams(c, z.object({ id: z.string() }))));
  app.delete("/items/:id", (c) => c.body(null, 204));
  app.get("/find", (c) =>
    c.json(parseQuery(c, z.strictObject({ limit: z.coerce.number().int().optional(), q: z.string().optional() }))),
  );
  app.get("/boom", () => {
    throw new Error("secret of the house");
  });
  app.get("/busy", () => {
    throw new AppError("unavailable", { retryAfterSeconds: 2.4 });
  });
  return app;
}

type Body = string | Uint8Array<ArrayBuffer>;
const readProblem = async (response: Response) => problemSchema.parse(await response.json());
const problemSchema = z.looseObject({
  code: z.string(),
  detail: z.string(),
  traceId: z.string(),
  errors: z.array(z.strictObject({ pointer: z.string(), code: z.string(), message: z.string() })).default([]),
});

const app = makeApp();
const post = (path: string, body: Body, type = "application/json") =>
  app.request(path, { method: "POST", body, headers: { "content-type": type } });

describe("bad input", () => {
  it.each<[string, Body, string, string]>([
    ["null", "null", "validation_failed", ""],
    ["a list", "[]", "validation_failed", ""],
    ["a text", '"x"', "validation_failed", ""],
    ["no field", "{}", "validation_failed", "/product_id"],
    ["a wrong type", '{"product_id":1}', "validation_failed", "/product_id"],
    ["a huge number", '{"product_id":"a","quantity":1e400}', "validation_failed", "/quantity"],
    ["a fraction", '{"product_id":"a","quantity":1.5}', "validation_failed", "/quantity"],
    ["U+0000", '{"product_id":"a\\u0000"}', "validation_failed", "/product_id"],
    ["a lone surrogate", '{"product_id":"\\ud800"}', "validation_failed", "/product_id"],
    ["a lone surrogate in a key", '{"product_id":"a","\\udc00":1}', "validation_failed", "/\uFFFD"],
    ["__proto__", '{"product_id":"a","__proto__":{"polluted":true}}', "validation_failed", "/__proto__"],
    [
      "deep nesting",
      `{"product_id":${"[".repeat(5_000)}${"]".repeat(5_000)}}`,
      "validation_failed",
      `/product_id${"/0".repeat(63)}`,
    ],
    ["bad UTF-8", new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]), "invalid_json", ""],
    ["an overlong NUL", new Uint8Array([0x22, 0xc0, 0x80, 0x22]), "invalid_json", ""],
    ["half a document", '{"product_id":', "invalid_json", ""],
    ["spaces", "   ", "invalid_json", ""],
  ])("%s is a 400 that names the field", async (_name, body, code, pointer) => {
    const response = await post("/price", body);
    expect(response.status).toBe(400);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    const problem = await readProblem(response);
    expect(problem).toMatchObject({ status: 400, code, type: `https://pricing-engine.dev/errors/${code}` });
    expect(problem.errors[0]?.pointer).toBe(pointer);
    expect(problem.traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
    expect(response.headers.get("traceparent")).toContain(problem.traceId);
  });

  it("names every offending field, unknown ones where they are refused", async () => {
    const body = JSON.stringify({ items: [{ product_id: 1 }, { product_id: "a", quantity: 0 }], x: 1, y: 2 });
    const { errors } = await readProblem(await post("/batch", body));
    expect(errors.map((error) => error.pointer).toSorted()).toEqual([
      "/items/0/product_id",
      "/items/1/quantity",
      "/x",
      "/y",
    ]);
  });

  it.each([
    ["{bad}", 1],
    ['{"a":1,}', 7],
    ['{"a":1}x', 7],
    ['{"a":truX}', 8],
    ["[1,2", 4],
    [`{"pad":"${"p".repeat(200)}", !}`, 211],
  ])("%s is wrong at position %d, and is not repeated", async (body, position) => {
    const { detail } = await readProblem(await post("/price", body));
    expect(detail).toMatch(new RegExp(`at position ${position}$`));
  });

  it("never answers anything with a 5xx", async () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.json().map((text) => new TextEncoder().encode(text)),
    );
    await fc.assert(
      fc.asyncProperty(bytes, async (body) => {
        const response = await post("/price", new Uint8Array(body));
        expect(response.status).toBeLessThan(500);
        expect(response.headers.get("x-correlation-id")).toBeTruthy();
      }),
      { numRuns: 300 },
    );
  });

  it("is a 415 only when there is a body that is no JSON", async () => {
    expect((await post("/maybe", "a=1", "application/x-www-form-urlencoded")).status).toBe(415);
    expect((await post("/maybe", "", "text/plain")).status).toBe(200);
    expect((await post("/maybe", '{"product_id":"a"}', "")).status).toBe(200);
    expect((await post("/maybe", '{"product_id":"a"}', "application/vnd.x+json; charset=utf-8")).status).toBe(200);
    const packed = { "content-type": "application/json", "content-encoding": "gzip" };
    expect((await app.request("/maybe", { method: "POST", body: "x", headers: packed })).status).toBe(415);
  });

  it("is a 413 above the limit of the route, and not at it", async () => {
    expect((await post("/small", "123456789 ")).status).toBe(200);
    expect((await post("/small", "1234567890 ")).status).toBe(413);
    expect((await post("/price", `{"product_id":"${"a".repeat(1024 * 1024)}"}`)).status).toBe(413);
  });

  it.each([
    ["/find?limit=x", "?limit"],
    ["/find?limit=1&limit=2", "?limit"],
    ["/find?other=1", "?other"],
    ["/find?q=%ff", "?q"],
    ["/find?q=%00", "?q"],
    ["/find?q=%", "?q"],
  ])("%s names the parameter", async (path, pointer) => {
    const response = await app.request(path);
    expect(response.status).toBe(400);
    expect((await readProblem(response)).errors[0]?.pointer).toBe(pointer);
  });

  it("reads a query as forms do", async () => {
    expect(await (await app.request("/find?limit=5&q=a+b%2B%C3%A9")).json()).toEqual({ limit: 5, q: "a b+é" });
  });

  it.each(["/items/%ff", "/items/%00", "/items/%"])("%s is a 400", async (path) => {
    expect((await app.request(path)).status).toBe(400);
  });
});

describe("answers", () => {
  it("are 404 and 405 with Allow, and OPTIONS and HEAD work", async () => {
    expect(await (await app.request("/nowhere")).json()).toMatchObject({ code: "not_found", status: 404 });
    const refused = await app.request("/items/1", { method: "PUT" });
    expect(refused.status).toBe(405);
    expect(refused.headers.get("allow")).toBe("DELETE, GET, HEAD, OPTIONS");
    const options = await app.request("/items/1", { method: "OPTIONS" });
    expect([options.status, options.headers.get("allow")]).toEqual([204, "DELETE, GET, HEAD, OPTIONS"]);
    expect((await app.request("/items/1", { method: "HEAD" })).status).toBe(200);
    expect((await app.request("/priceX", { method: "POST" })).status).toBe(404);
  });

  it("tell nothing about a crash", async () => {
    const response = await app.request("/boom");
    expect(response.status).toBe(500);
    expect(await response.text()).not.toMatch(/secret|stack|\.ts/);
  });

  it("say when to come back", async () => {
    const response = await app.request("/busy");
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "3"]);
  });

  it("go on with the caller's trace and correlation id, when those are sane", async () => {
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01`, "x-correlation-id": "order-7" };
    const followed = await app.request("/find", { headers });
    expect(followed.headers.get("traceparent")).toMatch(
      new RegExp(`^00-${traceId}-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$`),
    );
    expect(followed.headers.get("x-correlation-id")).toBe("order-7");
    const own = await app.request("/find", { headers: { traceparent: "00-0-0-00", "x-correlation-id": "<b>" } });
    expect(own.headers.get("traceparent")).toMatch(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-00$/);
    expect(own.headers.get("x-correlation-id")).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe("compression and validation of copies", () => {
  const large = JSON.stringify({ text: "abc".repeat(1_000) });
  const served = makeHttpApp({ logger: pino({ level: "silent" }), name: "test" });
  served.use(compressResponses(), etagResponses());
  served.get("/large", (c) => c.body(large, 200, { "content-type": "application/json" }));
  served.get("/tiny", (c) => c.json({ a: 1 }));
  served.get("/image", (c) => c.body(large, 200, { "content-type": "image/png" }));
  served.get("/packed", (c) => c.body(large, 200, { "content-type": "text/plain", "content-encoding": "zstd" }));
  served.get("/varied", (c) => c.body(large, 200, { "content-type": "text/plain", vary: c.req.query("by") ?? "" }));
  const get = (path: string, headers: Record<string, string> = {}) => served.request(path, { headers });

  it.each([
    ["accept-encoding", "accept-encoding"],
    ["Origin", "Origin, Accept-Encoding"],
  ])("says once what an answer varies by: %s", async (by, said) => {
    expect((await get(`/varied?by=${by}`)).headers.get("vary")).toBe(said);
  });

  it("packs large text as the client prefers", async () => {
    const br = await get("/large", { "accept-encoding": "gzip, br" });
    expect(br.headers.get("content-encoding")).toBe("br");
    expect(br.headers.get("vary")).toBe("Accept-Encoding");
    expect(br.headers.get("content-length")).toBeNull();
    expect(brotliDecompressSync(await br.arrayBuffer()).toString()).toBe(large);
    const gz = await get("/large", { "accept-encoding": "gzip" });
    expect(gunzipSync(await gz.arrayBuffer()).toString()).toBe(large);
  });

  it.each(["/tiny", "/image", "/packed"])("leaves %s alone", async (path) => {
    const plain = await (await get(path)).text();
    const response = await get(path, { "accept-encoding": "br" });
    expect(response.headers.get("content-encoding")).not.toBe("br");
    expect(await response.text()).toBe(plain);
  });

  it("answers 304 to who has it, packed or not", async () => {
    for (const headers of [{}, { "accept-encoding": "br" }]) {
      const etag = (await get("/large", headers)).headers.get("etag") ?? "";
      const again = await get("/large", { ...headers, "if-none-match": `"other", ${etag}` });
      expect([again.status, await again.text()]).toEqual([304, ""]);
      expect(again.headers.get("etag")).toBeTruthy();
      expect(again.headers.get("vary")).toBe("Accept-Encoding");
      expect((await get("/large", { ...headers, "if-none-match": '"other"' })).status).toBe(200);
    }
  });
});
