import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  infra,
  makeTestDatabase,
  makeTestEngine,
  type SpawnedService,
  spawnService,
  type TestDatabase,
} from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keyOperations, pricingOperations } from "../src/http/operations.ts";
import { migrate } from "../src/roles/migrate.ts";

/*
 * The gateway as a process, on real Postgres and Redis. What pricing answers is tested with the real service elsewhere;
 * here a bare HTTP server stands in its place, for answers that a healthy one does not give.
 */
const adminKey = "first-admin-key";
const entry = new URL("../src/main.ts", import.meta.url);

let database: TestDatabase;
let folder: string;
let gateway: SpawnedService;
let other: SpawnedService;
let respond: (request: IncomingMessage, response: ServerResponse) => void = (_, response) => void response.end();
const upstream = createServer((request, response) => respond(request, response));

beforeAll(async () => {
  const silent = { info: () => undefined, warn: () => undefined };
  database = await makeTestDatabase({ template: "gateway", migrate: (url) => migrate(url, silent) });
  folder = mkdtempSync(join(tmpdir(), "pricing-engine-gateway-"));
  const settings = {
    auth: "apiKey",
    rateLimit: { capacity: 2, refillPerSecond: 0.01, routes: ["GET /api/v1/products"] },
  };
  writeFileSync(join(folder, "settings"), JSON.stringify({ epoch: 1, revision: 1, settings: { gateway: settings } }));
  writeFileSync(join(folder, "admin"), `${adminKey}\n`);
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  const engine = makeTestEngine();
  const env = {
    ENGINE_NAMESPACE: engine.namespace,
    ENGINE_NAME: engine.name,
    POSTGRES_URL: database.url,
    REDIS_URL: infra().redisUrl,
    SETTINGS_FILE: join(folder, "settings"),
    ADMIN_KEY_FILE: join(folder, "admin"),
    PRICING_URL: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
  };
  gateway = await spawnService({ entry, args: ["api"], env });
  other = await spawnService({ entry, args: ["api"], env });
});
afterAll(async () => {
  await gateway?.stop();
  await other?.stop();
  upstream.closeAllConnections();
  upstream.close();
  await database?.drop();
  rmSync(folder, { recursive: true, force: true });
});

const call = (path: string, init: RequestInit & { key?: string } = {}, at = gateway) =>
  fetch(`${at.url}${path}`, { ...init, headers: { authorization: `Bearer ${init.key ?? adminKey}`, ...init.headers } });
const post = (path: string, body: unknown, key = adminKey, at = gateway) =>
  call(path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" }, key }, at);

async function makeKey(tenant: string, role: string): Promise<{ key: string; key_id: string }> {
  const response = await post("/api/v1/keys", { tenant, role });
  expect(response.status).toBe(201);
  return (await response.json()) as { key: string; key_id: string };
}

/** Price requests that the cache had no answer for. */
async function countLookups(): Promise<{ miss: number; away: number }> {
  const metrics = await (await fetch(`http://127.0.0.1:${gateway.metricsPort}/metrics`)).text();
  const count = (outcome: string): number =>
    Number(new RegExp(`price_cache_lookups_total\\{outcome="${outcome}"\\} (\\d+)`).exec(metrics)?.[1] ?? 0);
  return { miss: count("miss"), away: count("away") };
}

interface Call {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/**
 * Sends `count` requests for prices, and holds what pricing is asked until all of them have missed. On a machine so busy that Redis does
 * not answer in 250 ms, the request that met that asks on its own, as it must: such a round shows nothing of what misses share, and the
 * next one is of other products.
 */
async function missTogether(
  count: number,
  send: (round: number, index: number) => Promise<Response>,
  answer: (call: Call, response: ServerResponse) => void,
): Promise<{ round: number; calls: readonly Call[]; answers: readonly Response[] }> {
  for (let round = 1; ; round += 1) {
    const calls: Call[] = [];
    const gate = Promise.withResolvers<void>();
    respond = async (request, response) => {
      const { method, url, headers } = request;
      const call = { method, url, headers, body: Buffer.concat(await request.toArray()).toString() };
      calls.push(call);
      await gate.promise;
      answer(call, response);
    };
    const before = await countLookups();
    const requests = Array.from({ length: count }, (_, index) => send(round, index));
    let alone = 0;
    const asked = async (): Promise<number> => {
      const { miss, away } = await countLookups();
      alone = away - before.away;
      return miss - before.miss + alone;
    };
    try {
      await expect.poll(asked, { timeout: 20_000 }).toBe(count);
    } finally {
      gate.resolve();
    }
    const answers = await Promise.all(requests);
    if (alone === 0) return { round, calls, answers };
  }
}

describe("keys", () => {
  it("need one on every guarded call, and the right role", async () => {
    respond = (_, response) => void response.writeHead(200, { "content-type": "application/json" }).end("{}");
    const keys = { reader: await makeKey("acme", "reader"), writer: await makeKey("acme", "writer") };
    for (const { method, path, role } of [...Object.values(pricingOperations), ...Object.values(keyOperations)]) {
      const target = path.replaceAll(/\{\w+\}/g, "x");
      const body = method === "GET" || method === "DELETE" ? null : "{}";
      const without = await fetch(`${gateway.url}${target}`, { method, body });
      expect([method, path, without.status, without.headers.get("content-type")]).toEqual([
        method,
        path,
        401,
        "application/problem+json",
      ]);
      expect((await call(target, { method, body, key: "wrong" })).status).toBe(401);
      const asReader = (await call(target, { method, body, key: keys.reader.key })).status;
      expect([path, asReader === 403]).toEqual([path, role !== "reader"]);
      const asWriter = (await call(target, { method, body, key: keys.writer.key })).status;
      expect([path, asWriter === 403]).toEqual([path, role === "admin"]);
    }
  });

  it("are shown once, listed without themselves, and refused everywhere within 2 s when revoked", async () => {
    respond = (_, response) => void response.writeHead(404, { "content-type": "application/problem+json" }).end("{}");
    const { key, key_id } = await makeKey("acme", "reader");
    expect((await call("/api/v1/tasks/x", { key }, other)).status).toBe(404);
    const list = await (await call("/api/v1/keys")).text();
    expect(list).toContain(key_id);
    expect(list).not.toContain(key);
    expect((await call(`/api/v1/keys/${key_id}`, { method: "DELETE" })).status).toBe(204);
    const revokedMs = performance.now();
    expect((await call("/api/v1/tasks/x", { key })).status).toBe(401);
    // When the last request was sent that was not refused: how long its answer takes on a busy machine is no part of the promise.
    let lastUsedMs = revokedMs;
    const useAtOther = async (): Promise<number | undefined> => {
      const sentMs = performance.now();
      const answer = await call("/api/v1/tasks/x", { key }, other).catch(() => undefined);
      if (answer?.status !== 401) lastUsedMs = sentMs;
      return answer?.status;
    };
    await expect.poll(useAtOther, { timeout: 20_000 }).toBe(401);
    expect(lastUsedMs - revokedMs).toBeLessThan(2_000);
    expect((await call(`/api/v1/keys/${key_id}`, { method: "DELETE" })).status).toBe(404);
    expect((await call("/api/v1/keys/nope", { method: "DELETE" })).status).toBe(404);
    expect((await call(`/api/v1/keys/${"k".repeat(256)}`, { method: "DELETE" })).status).toBe(400);
  });

  it("of another tenant are not there for an admin of one", async () => {
    const [acme, other] = [await makeKey("acme", "admin"), await makeKey("umbrella", "reader")];
    const list = await (await call("/api/v1/keys", { key: acme.key })).text();
    expect(list).toContain(acme.key_id);
    expect(list).not.toContain(other.key_id);
    expect((await call(`/api/v1/keys/${other.key_id}`, { method: "DELETE", key: acme.key })).status).toBe(404);
    expect((await post("/api/v1/keys", { tenant: "umbrella", role: "reader" }, acme.key)).status).toBe(403);
    expect((await post("/api/v1/keys", { tenant: "acme", role: "reader" }, acme.key)).status).toBe(201);
    expect((await call(`/api/v1/keys/${other.key_id}`, { method: "DELETE" })).status).toBe(204);
  });

  it.each([
    [{}],
    [{ tenant: "a" }],
    [{ tenant: "a", role: "god" }],
    [{ tenant: "a", role: "reader", more: 1 }],
    [{ tenant: "", role: "reader" }],
    [null],
  ])("refuse %j with 400", async (body) => {
    expect((await post("/api/v1/keys", body)).status).toBe(400);
  });
});

describe("what is open", () => {
  it.each(["/health", "/livez", "/readyz"])("%s says healthy", async (path) => {
    expect(await (await fetch(gateway.url + path)).json()).toEqual({ status: "healthy" });
  });

  it("serves the API's description and a page that needs nothing from elsewhere", async () => {
    const description = await (await fetch(`${gateway.url}/openapi.json`)).json();
    expect(description).toMatchObject({ openapi: "3.1.0" });
    const page = await fetch(`${gateway.url}/docs`);
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(await page.text()).not.toMatch(/https?:\/\//);
    for (const file of ["swagger-ui.css", "swagger-ui-bundle.js", "start.js"]) {
      expect((await fetch(`${gateway.url}/docs/${file}`)).status).toBe(200);
    }
    expect((await fetch(`${gateway.url}/docs/package.json`)).status).toBe(404);
  });

  it.each([
    "/api/v1/pricesX",
    "/api/v1/prices",
    "/internal/v1/prices",
    "/nope",
    "/orders",
    "/payments-summary",
    "/api/v1/sources",
  ])("%s is 404", async (path) => {
    const response = await call(path);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({
      code: "not_found",
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
  });

  it("answers /search in its own envelope", async () => {
    expect(await (await call("/search")).json()).toMatchObject({ data: null, error: { code: "not_found" } });
  });
});

describe("the rate limit", () => {
  it("takes a tenant's tokens on all gateways, and says so on each answer", async () => {
    respond = (_, response) => void response.writeHead(200, { "content-type": "application/json" }).end("{}");
    const { key } = await makeKey("limited", "reader");
    const answers = [
      await call("/api/v1/products", { key }),
      await call("/api/v1/products", { key }, other),
      await call("/api/v1/products", { key }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(answers.map(({ headers }) => headers.get("ratelimit")?.split(";")[1])).toEqual(["r=1", "r=0", "r=0"]);
    expect(answers[0]?.headers.get("ratelimit-policy")).toBe('"tenant";q=2;w=200');
    expect(Number(answers[2]?.headers.get("retry-after"))).toBeGreaterThan(0);
  });
});

describe("a service that misbehaves", () => {
  const faults: Record<string, typeof respond> = {
    "resets the connection": (request) => void request.socket.resetAndDestroy(),
    "closes without an answer": (request) => void request.socket.destroy(),
    "breaks off in the middle": (_, response) => {
      response.writeHead(200, { "content-length": "100", "content-type": "application/json" });
      response.write("{", () => response.destroy());
    },
    "answers garbage": (request) => void request.socket.end("hello\r\n\r\n"),
  };
  it.each(Object.keys(faults))("that %s is a 503 with Retry-After", async (name) => {
    respond = faults[name] ?? respond;
    for (const response of [
      await post("/api/v1/price", { product_id: `p-${name}` }),
      await call("/api/v1/products/x"),
      await post("/api/v1/publish-market-event", {}),
    ]) {
      expect(response.status).toBe(503);
      expect(response.headers.get("retry-after")).toBe("1");
      expect(await response.json()).toMatchObject({ code: "unavailable" });
    }
  });
});

describe("POST /api/v1/price", () => {
  it.each<[string, string | Uint8Array]>([
    ["", "{}"],
    ["/quantity", '{"product_id":"a","quantity":0}'],
    ["/quantity", '{"product_id":"a","quantity":1e300}'],
    ["/product_id", '{"product_id":null}'],
    ["/product_id", '{"product_id":"a\\u0000"}'],
    ["", "{"],
    ["", new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d])],
    ["", "[]"],
  ])("names %j for %j", async (pointer, body) => {
    const response = await call("/api/v1/price", {
      method: "POST",
      body,
      headers: { "content-type": "application/json" },
    });
    expect(response.status).toBe(400);
    const { errors } = (await response.json()) as { errors: { pointer: string }[] };
    expect(errors[0]?.pointer.startsWith(pointer)).toBe(true);
  });

  it("refuses 2 MiB with 413 and another type with 415", async () => {
    expect((await post("/api/v1/price", { product_id: "a", filler: "x".repeat(2 * 1024 * 1024) })).status).toBe(413);
    const typed = await call("/api/v1/price", {
      method: "POST",
      body: "a=b",
      headers: { "content-type": "text/plain" },
    });
    expect(typed.status).toBe(415);
  });

  it("computes once for equal requests in flight, and passes on trace, correlation id and what was sent", async () => {
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    const headers = {
      "content-type": "application/json",
      traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
      "x-correlation-id": "shop-1",
    };
    const { calls, answers } = await missTogether(
      200,
      (round) => call("/api/v1/price", { method: "POST", body: `{"product_id":"shared-${round}"}`, headers }),
      (_, response) => void response.writeHead(200, { "content-type": "application/json" }).end("{}"),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(calls.length).toBe(1);
    expect(calls[0]?.headers.traceparent).toContain(traceId);
    expect(calls[0]?.headers["x-correlation-id"]).toBe("shop-1");
    expect(calls[0]?.headers.authorization).toBeUndefined();
    expect(answers[0]?.headers.get("x-correlation-id")).toBe("shop-1");
  });

  it("tells each of equal requests in flight the id of its own trace, when the answer is a problem", async () => {
    const problem = { code: "not_found", traceId: "0".repeat(31).concat("1") };
    const type = { "content-type": "application/problem+json" };
    const { calls, answers } = await missTogether(
      20,
      (round) => post("/api/v1/price", { product_id: `shared-nope-${round}` }),
      (_, response) => void response.writeHead(404, type).end(JSON.stringify(problem)),
    );
    expect(calls.length).toBe(1);
    for (const answer of answers) {
      const { traceId } = (await answer.json()) as { traceId: string };
      expect([answer.status, answer.headers.get("traceparent")?.split("-")[1]]).toEqual([404, traceId]);
    }
  });

  it("passes a 404 of pricing on", async () => {
    respond = (_, response) =>
      void response.writeHead(404, { "content-type": "application/problem+json" }).end('{"code":"not_found"}');
    const response = await post("/api/v1/price", { product_id: "nope" });
    expect([response.status, response.headers.get("content-type"), await response.json()]).toEqual([
      404,
      "application/problem+json",
      { code: "not_found" },
    ]);
  });
});

describe("misses of different prices", () => {
  type Asked = { context: { product_id: string }; ticket: string; traceId: string }[];

  /** Asks for the prices of `<name>-0` …; what pricing is asked for many is answered by `answer`, for one with `{}`. */
  async function askMany(count: number, name: string, answer: (asked: Asked, response: ServerResponse) => void) {
    const nameOf = (round: number, index: number) => `${name} ${round}-${index}`;
    const isOne = ({ url }: Call) => url === "/api/v1/price";
    const { round, calls, answers } = await missTogether(
      count,
      (...which) => post("/api/v1/price", { product_id: nameOf(...which) }),
      (call, response) => {
        if (isOne(call)) response.writeHead(200, { "content-type": "application/json" }).end("{}");
        else answer(JSON.parse(call.body) as Asked, response);
      },
    );
    const forMany = calls.filter((call) => !isOne(call));
    for (const { method, url } of forMany) expect([method, url]).toEqual(["POST", "/internal/v1/prices"]);
    const misses = forMany.flatMap(({ body }) => JSON.parse(body) as Asked);
    const gathered = new Map(misses.map(({ context, ...miss }) => [context.product_id, miss]));
    return { calls, answers, gathered, productIdOf: (index: number) => nameOf(round, index) };
  }

  it("go together; each gets its own answer, problems and their ids too", async () => {
    const { calls, answers, gathered, productIdOf } = await askMany(60, "many", (asked, response) => {
      const lines = asked.map(({ context, traceId }) => {
        const nth = Number(context.product_id.split("-")[1]);
        if (nth % 3 === 0) return `404 - {"code":"not_found","traceId":"${traceId}"}\n`;
        if (nth % 3 === 1) return `503 7 {"code":"unavailable","traceId":"${traceId}"}\n`;
        return `200 - ${JSON.stringify({ product_id: context.product_id })}\n`;
      });
      response.end(lines.join(""));
    });
    expect(calls.length).toBeLessThan(30);
    expect(gathered.size).toBeGreaterThan(30);
    for (const [index, answer] of answers.entries()) {
      const miss = gathered.get(productIdOf(index));
      if (miss === undefined) continue;
      expect(miss.ticket).toMatch(/^[0-9a-f]{16}:/);
      expect(answer.headers.get("traceparent")).toContain(miss.traceId);
      const found = [answer.status, answer.headers.get("content-type"), answer.headers.get("retry-after")];
      const body = await answer.json();
      const { traceId } = miss;
      if (index % 3 === 0) {
        expect([...found, body]).toEqual([404, "application/problem+json", null, { code: "not_found", traceId }]);
      } else if (index % 3 === 1) {
        expect([...found, body]).toEqual([503, "application/problem+json", "7", { code: "unavailable", traceId }]);
      } else expect([...found, body]).toEqual([200, "application/json", null, { product_id: productIdOf(index) }]);
    }
  });

  it.each<[string, (asked: Asked, response: ServerResponse) => void]>([
    ["breaks off", (_, response) => void response.destroy()],
    ["is of too few", (asked, response) => void response.end("200 - {}\n".repeat(asked.length - 1))],
    ["is no answer", (_, response) => void response.writeHead(500).end("{}")],
  ])("are a 503 with Retry-After each when the answer %s", async (name, answer) => {
    const { answers, gathered, productIdOf } = await askMany(20, name, answer);
    expect(gathered.size).toBeGreaterThan(5);
    for (const [index, { status, headers }] of answers.entries()) {
      const isGathered = gathered.has(productIdOf(index));
      expect([status, headers.get("retry-after")]).toEqual(isGathered ? [503, "1"] : [200, null]);
    }
  });
});

it("streams an import of any size to pricing without keeping it", async () => {
  let received = 0;
  respond = (request, response) => {
    request.on("data", (chunk: Buffer) => {
      received += chunk.length;
    });
    request.on("end", () => response.writeHead(200, { "content-type": "application/json" }).end("{}"));
  };
  const line = new TextEncoder().encode(`${"x".repeat(64 * 1024 - 1)}\n`);
  const lines = 320;
  const body = new ReadableStream({
    start: (controller) => {
      for (let index = 0; index < lines; index += 1) controller.enqueue(line);
      controller.close();
    },
  });
  const response = await call("/api/v1/products:import", { method: "POST", body, duplex: "half" } as RequestInit);
  expect(response.status).toBe(200);
  expect(received).toBe(lines * line.length);
});
