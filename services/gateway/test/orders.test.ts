import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeLogger } from "@pricing-engine/chassis/log";
import { topicName, topics } from "@pricing-engine/contracts";
import {
  type KafkaAdmin,
  makeKafka,
  makeKafkaAdmin,
  makeProducer,
  runConsumer,
  withGroupTopics,
} from "@pricing-engine/kafka";
import {
  eventually,
  infra,
  makeTestDatabase,
  makeTestEngine,
  type SpawnedService,
  spawnService,
  type TestDatabase,
} from "@pricing-engine/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

/*
 * The way of an order through the gateway, on real Kafka and Redis. Behind it stands a bare HTTP server, for what a healthy orders
 * service does not do; the real one is tested with the whole engine in test/e2e.
 */
const logger = makeLogger({ name: "gateway-orders-test", level: "fatal" });
const engine = makeTestEngine();
const stages = [topics.orderInventory, topics.orderPayment, topics.orderFulfillment, topics.orderNotification];
const stageTopics = stages.map((name) => topicName(engine.prefix, name));
const specs = stageTopics.flatMap((topic) =>
  withGroupTopics({ topic, partitions: 2, replicationFactor: 1, keep: "forever" }, [
    `${engine.prefix}orders-inventory`,
  ]),
);
const placed = { order_id: "ord_1", status: "placed", total: "20.00", idempotency_key: "k" };
const noLoad = { unsentOutbox: 0, unfinishedCharges: 0 };

type Asked = { headers: IncomingHttpHeaders; body: Record<string, unknown>; url: string };
let asked: Asked[] = [];
let load = noLoad;
let respond: (request: IncomingMessage, response: ServerResponse) => void;
const upstream = createServer(async (request, response) => {
  const text = Buffer.concat(await request.toArray()).toString();
  if (request.url === "/internal/load") return void response.end(JSON.stringify(load));
  asked.push({ headers: request.headers, body: text === "" ? {} : JSON.parse(text), url: request.url ?? "" });
  respond(request, response);
});
const accept: typeof respond = (_, response) =>
  void response.writeHead(202, { "content-type": "application/json" }).end(JSON.stringify(placed));

let database: TestDatabase;
let folder: string;
let gateway: SpawnedService;
let admin: KafkaAdmin;

beforeAll(async () => {
  database = await makeTestDatabase();
  folder = mkdtempSync(join(tmpdir(), "pricing-engine-gateway-"));
  const rateLimit = {
    capacity: 1_000,
    refillPerSecond: 0.001,
    tenants: ["small", "checked", "ill"].map((name) => ({ name, capacity: 2, refillPerSecond: 0.001 })),
  };
  const settings = { gateway: { rateLimit, backPressure: { maxLag: 10 } } };
  writeFileSync(join(folder, "settings"), JSON.stringify({ epoch: 1, revision: 1, settings }));
  admin = makeKafkaAdmin({
    kafka: makeKafka({ brokers: infra().kafkaBrokers.split(","), clientId: "test", logger }),
  });
  await admin.ensureTopics(specs);
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  gateway = await spawnService({
    entry: new URL("../src/main.ts", import.meta.url),
    args: ["api"],
    env: {
      ENGINE_NAMESPACE: engine.namespace,
      ENGINE_NAME: engine.name,
      KAFKA_BROKERS: infra().kafkaBrokers,
      POSTGRES_URL: database.url,
      REDIS_URL: infra().redisUrl,
      SETTINGS_FILE: join(folder, "settings"),
      ORDERS_URL: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
    },
  });
});
afterAll(async () => {
  await gateway?.stop();
  upstream.closeAllConnections();
  upstream.close();
  await admin?.deleteTopics(specs.map(({ topic }) => topic));
  await admin?.close();
  await database?.drop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  asked = [];
  load = noLoad;
  respond = accept;
});

const order = (more: Record<string, unknown> = {}) => ({
  customer_id: "c",
  items: [{ product_id: "p", quantity: 2 }],
  idempotency_key: "k",
  ...more,
});
const post = (body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${gateway.url}/orders`, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });
const problemOf = async (answer: Response) => (await answer.json()) as { code: string; errors?: { pointer: string }[] };
const tokensOf = async (tenant_id: string) =>
  ((await (await post({ action: "check_rate_limit", tenant_id })).json()) as { tokens_remaining: number })
    .tokens_remaining;

describe("an order that is taken", () => {
  it("goes on with its tenant, its key and all that the client sent, and comes back with the tokens left", async () => {
    const sent = order({ tenant_id: "small", later: { field: [1] } });
    const answer = await post(sent, { "idempotency-key": "from-header" });
    expect([answer.status, await answer.json()]).toEqual([202, { ...placed, tokens_remaining: 1 }]);
    expect(answer.headers.get("ratelimit")).toMatch(/^"tenant";r=1;/);
    const [{ headers, body } = { headers: {}, body: {} }] = asked;
    expect(body).toEqual(sent);
    expect(headers).toMatchObject({
      "x-tenant": "small",
      "x-auth-mode": "none",
      "idempotency-key": "from-header",
      "x-tokens-remaining": "1",
    });
  });

  it("may belong to a tenant of any name", async () => {
    const sent = order({ tenant_id: "株式会社 é/%" });
    expect((await post(sent)).status).toBe(202);
    expect(asked[0]?.headers).toMatchObject({ "x-tenant": encodeURIComponent("株式会社 é/%") });
    expect(asked[0]?.body).toEqual(sent);
  });

  it("belongs to the tenant default when it names none", async () => {
    await post(order());
    expect(asked[0]?.headers).toMatchObject({ "x-tenant": "default" });
    expect(asked[0]?.headers).not.toHaveProperty("idempotency-key");
  });

  it("is a replay: what the service says of that is passed on, with tokens", async () => {
    respond = (_, response) => {
      response.writeHead(202, { "content-type": "application/json", "idempotent-replayed": "true" });
      response.end(JSON.stringify(placed));
    };
    const answer = await post(order(), { "idempotency-key": "k" });
    expect(answer.headers.get("idempotent-replayed")).toBe("true");
    expect(await answer.json()).toHaveProperty("tokens_remaining");
  });

  it("is a replay: the answer is the first one's, what it says of tokens too; the headers tell of those of now", async () => {
    const first = { ...placed, tokens_remaining: 4711 };
    respond = (_, response) => {
      response.writeHead(202, { "content-type": "application/json", "idempotent-replayed": "true" });
      response.end(JSON.stringify(first));
    };
    const left = await tokensOf("default");
    const answer = await post(order(), { "idempotency-key": "k" });
    expect(await answer.json()).toEqual(first);
    expect(answer.headers.get("ratelimit")).toContain(`"tenant";r=${left - 1};`);
  });

  it.each([409, 422, 503])("is refused by the service with %i: passed on as it is", async (status) => {
    respond = (_, response) => {
      response.writeHead(status, { "content-type": "application/problem+json", "retry-after": "7" });
      response.end('{"code":"x","existing_order_id":"ord_0"}');
    };
    const answer = await post(order());
    expect([answer.status, await answer.json()]).toEqual([status, { code: "x", existing_order_id: "ord_0" }]);
    expect([answer.headers.get("retry-after"), answer.headers.get("content-type")]).toEqual([
      "7",
      "application/problem+json",
    ]);
    expect(answer.headers.get("ratelimit-policy")).toBe('"tenant";q=1000;w=1000000');
  });
});

describe("what is refused at the gateway", () => {
  it.each<[string, unknown, Record<string, string>]>([
    ["/items", order({ items: [] }), {}],
    ["/items/0/quantity", order({ items: [{ product_id: "p", quantity: 0 }] }), {}],
    ["/customer_id", order({ customer_id: undefined }), {}],
    ["/idempotency_key", order({ idempotency_key: undefined }), {}],
    ["/idempotency_key", order({ idempotency_key: undefined }), { "idempotency-key": "x".repeat(256) }],
    ["/idempotency_key", { action: "check_idempotency" }, {}],
    ["/action", order({ action: "nope" }), {}],
    ["", "{", {}],
  ])("names %j and takes no token", async (pointer, body, headers) => {
    const before = await tokensOf("default");
    const answer = await post(body, headers);
    expect(answer.status).toBe(400);
    const { errors = [] } = await problemOf(answer);
    expect(errors.some((error) => error.pointer.startsWith(pointer))).toBe(true);
    expect(asked).toEqual([]);
    expect(await tokensOf("default")).toBe(before);
  });

  it("has no token left: 429 with Retry-After, and the service is not asked", async () => {
    const statuses: number[] = [];
    for (let nth = 0; nth < 2; nth += 1) statuses.push((await post(order({ tenant_id: "checked" }))).status);
    const answer = await post(order({ tenant_id: "checked" }));
    expect([...statuses, answer.status]).toEqual([202, 202, 429]);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(1);
    expect(answer.headers.get("ratelimit")).toMatch(/^"tenant";r=0;/);
    expect((await problemOf(answer)).code).toBe("rate_limited");
    expect(asked).toHaveLength(2);
    const checked = await post({ action: "check_idempotency", idempotency_key: "k", tenant_id: "checked" });
    expect(checked.status).toBe(202);
    expect(asked.at(-1)?.body).toMatchObject({ action: "check_idempotency" });
  });
});

describe("back-pressure", () => {
  const isOverloaded = async () => {
    const answer = await post(order());
    if (answer.status !== 503) return false;
    expect((await problemOf(answer)).code).toBe("overloaded");
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    return true;
  };

  it.each([
    ["unsent outbox rows", { unsentOutbox: 11, unfinishedCharges: 0 }],
    ["charges without an end", { unsentOutbox: 0, unfinishedCharges: 11 }],
    ["both together", { unsentOutbox: 6, unfinishedCharges: 5 }],
  ])("refuses while there are more %s than maxLag, takes no token, and ends by itself", async (_, waiting) => {
    load = { unsentOutbox: 10, unfinishedCharges: 0 };
    await eventually(async () => expect((await post(order())).status).toBe(202));
    load = waiting;
    await eventually(isOverloaded, { intervalMs: 100 });
    const before = await tokensOf("default");
    expect(await isOverloaded()).toBe(true);
    expect(await tokensOf("default")).toBe(before);
    load = noLoad;
    await eventually(async () => expect((await post(order())).status).toBe(202), { intervalMs: 100 });
  });

  it("counts what the stages have not taken from Kafka", async () => {
    const kafka = makeKafka({ brokers: infra().kafkaBrokers.split(","), clientId: "test", logger });
    const producer = makeProducer({ kafka });
    try {
      for (const topic of stageTopics) {
        for (let nth = 0; nth < 3; nth += 1) await producer.send({ topic, key: `${nth}`, value: "{}" });
      }
      await eventually(isOverloaded, { intervalMs: 100 });
      const [topic = ""] = stageTopics;
      const stage = await runConsumer({
        kafka,
        producer,
        groupId: `${engine.prefix}orders-inventory`,
        topics: [topic],
        concurrency: 1,
        isOutage: () => false,
        logger,
        handle: async () => undefined,
      });
      // Nine are left: no more than maxLag.
      await eventually(async () => expect((await post(order())).status).toBe(202), { intervalMs: 100 }).finally(() =>
        stage.stop(),
      );
    } finally {
      await producer.close();
    }
  });
});

describe("a service that gives no answer", () => {
  const faults: Record<string, typeof respond> = {
    "closes the connection": (request) => void request.socket.destroy(),
    "breaks off in the middle": (_, response) => {
      response.writeHead(202, { "content-length": "100", "content-type": "application/json" });
      response.write("{", () => response.destroy());
    },
    "answers no JSON": (_, response) => void response.writeHead(202, { "content-type": "application/json" }).end("<"),
  };
  it.each(Object.keys(faults))("and %s is a 503 with Retry-After: the client repeats with its key", async (name) => {
    respond = faults[name] ?? accept;
    const answer = await post(order());
    expect([answer.status, answer.headers.get("retry-after"), (await problemOf(answer)).code]).toEqual([
      503,
      "1",
      "unavailable",
    ]);
    expect(answer.headers.has("ratelimit")).toBe(true);
    expect(asked).toHaveLength(1);
  });

  it("is asked once more when the key came as a header, since the repeat changes nothing", async () => {
    respond = (request, response) => {
      if (asked.length === 1) request.socket.destroy();
      else accept(request, response);
    };
    const answer = await post(order(), { "idempotency-key": "again" });
    expect([answer.status, asked.length]).toEqual([202, 2]);
  });
});

it.each([
  ["GET", "/orders?status=paid&tenant_id=a"],
  ["GET", "/orders/ord_1"],
  ["POST", "/orders/ord_1/cancel"],
  ["GET", "/api/v1/inventory/p%2F1"],
])("hands %s %s on as it is", async (method, target) => {
  respond = (_, response) => void response.writeHead(200, { "content-type": "application/json" }).end("{}");
  expect((await fetch(gateway.url + target, { method })).status).toBe(200);
  expect([asked[0]?.url, asked[0]?.headers["x-auth-mode"]]).toEqual([target, "none"]);
});
