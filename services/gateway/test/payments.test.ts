import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError } from "@pricing-engine/chassis/errors";
import { makeHttpApp, serveHttp } from "@pricing-engine/chassis/http";
import { makeLifecycle } from "@pricing-engine/chassis/lifecycle";
import { makeLogger } from "@pricing-engine/chassis/log";
import { chargeMessage, gatewaySettings, type PaymentRequest, topicName, topics } from "@pricing-engine/contracts";
import {
  decodeEnvelope,
  type KafkaAdmin,
  type Message,
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
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makePaymentFront } from "../src/http/payment-front.ts";
import { acceptPaymentRoute, makePaymentNotes } from "../src/http/payments.ts";
import { makeAcceptPayment } from "../src/usecases/accept-payment.ts";

const logger = makeLogger({ name: "gateway-payments-test", level: "fatal" });
const id = "4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3";

describe("payments through the gateway, on a real broker", () => {
  const engine = makeTestEngine();
  const topic = topicName(engine.prefix, topics.payments);
  const group = `${engine.prefix}test`;
  const specs = withGroupTopics({ topic, partitions: 3, replicationFactor: 1, keep: "forever" }, [group]);
  const entry = new URL("../src/main.ts", import.meta.url);
  const asked: IncomingMessage[] = [];
  const upstream = createServer((request, response) => {
    asked.push(request);
    response.writeHead(404, { "content-type": "application/problem+json", "retry-after": "1" }).end("{}");
  });
  const received: Message[] = [];
  let database: TestDatabase;
  let folder: string;
  let gateway: SpawnedService;
  let admin: KafkaAdmin;
  let stopReading: () => Promise<void>;

  beforeAll(async () => {
    database = await makeTestDatabase();
    folder = mkdtempSync(join(tmpdir(), "pricing-engine-gateway-"));
    const settings = { gateway: { auth: "apiKey" } };
    writeFileSync(join(folder, "settings"), JSON.stringify({ epoch: 1, revision: 1, settings }));
    writeFileSync(join(folder, "admin"), "first-admin-key");
    upstream.listen(0, "127.0.0.1");
    await once(upstream, "listening");
    const kafka = makeKafka({ brokers: infra().kafkaBrokers.split(","), clientId: "test", logger });
    admin = makeKafkaAdmin({ kafka });
    await admin.ensureTopics(specs);
    const producer = makeProducer({ kafka });
    const consumer = await runConsumer({
      kafka,
      producer,
      groupId: group,
      topics: [topic],
      concurrency: 10,
      isOutage: () => false,
      logger,
      async handle(message) {
        received.push(message);
      },
    });
    stopReading = async () => {
      await consumer.stop();
      await producer.close();
    };
    gateway = await spawnService({
      entry,
      args: ["api"],
      env: {
        ENGINE_NAMESPACE: engine.namespace,
        ENGINE_NAME: engine.name,
        POSTGRES_URL: database.url,
        REDIS_URL: infra().redisUrl,
        KAFKA_BROKERS: infra().kafkaBrokers,
        SETTINGS_FILE: join(folder, "settings"),
        ADMIN_KEY_FILE: join(folder, "admin"),
        PAYMENT_URL: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
      },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    await stopReading?.();
    await admin?.deleteTopics(specs.map((spec) => spec.topic));
    await admin?.close();
    upstream.closeAllConnections();
    upstream.close();
    await database?.drop();
    rmSync(folder, { recursive: true, force: true });
  });

  const call = (path: string, init: RequestInit = {}) =>
    fetch(gateway.url + path, { ...init, headers: { authorization: "Bearer first-admin-key", ...init.headers } });
  const pay = (body: unknown, headers: Record<string, string> = {}) =>
    call("/payments", {
      method: "POST",
      body: typeof body === "string" ? body : JSON.stringify(body),
      headers: { "content-type": "application/json", ...headers },
    });

  it("answers 202 for what the topic then holds, however the body was written", async () => {
    const ids: string[] = Array.from({ length: 4 }, () => crypto.randomUUID());
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const answers = [
      await pay({ correlationId: ids[0], amount: 19.9 }, { traceparent }),
      await pay({ correlationId: ids[1]?.toUpperCase(), amount: 0.07, more: { unknown: [1] } }),
      await pay(`{"correlation\\u0049d": "${ids[2]}", "amount": 1e7}`),
      await pay({ correlationId: ids[3], amount: 9_999_999.99 }),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(202);
      expect(answer.headers.get("traceparent")).toMatch(/^00-[0-9a-f]{32}-/);
      expect(await answer.json()).toEqual({ status: "accepted" });
    }
    const found = await eventually(() => {
      const mine = received.filter(({ key }) => ids.includes(key ?? ""));
      expect(mine).toHaveLength(4);
      return mine;
    });
    const charges = new Map(
      found.map(({ value }) => decodeEnvelope(chargeMessage, value).data).map((data) => [data.correlationId, data]),
    );
    expect(ids.map((each) => charges.get(each))).toEqual(
      [1990, 7, 1_000_000_000, 999_999_999].map((amountMinor, index) => ({
        source: "api",
        correlationId: ids[index],
        amountMinor,
      })),
    );
    const traced = found.find(({ key }) => key === ids[0]);
    expect(traced?.headers.traceparent).toContain("0af7651916cd43dd8448eb211c80319c");
  });

  it.each([
    [`{"correlationId":"${id}"}`, "/amount"],
    [`{"amount":1}`, "/correlationId"],
    ["{}", "/correlationId"],
    ["[]", ""],
    ["null", ""],
    ["not json", ""],
    ["", ""],
    ...[-1, 0, -0.01, 0.001, 19.999, 10_000_000.01, 1e308, '"19.90"', "null", "true", "[1]", "{}"].map(
      (amount): [string, string] => [`{"correlationId":"${id}","amount":${amount}}`, "/amount"],
    ),
    [`{"correlationId":"${id}","amount":NaN}`, ""],
    [`{"correlationId":"${id}","amount":Infinity}`, ""],
    [`{"correlationId":"${id}","amount":1e999}`, "/amount"],
    ...[
      '""',
      '"x"',
      "7",
      "null",
      `"{${id}}"`,
      `"${id.replaceAll("-", "")}"`,
      `" ${id}"`,
      `"${id}0"`,
      `"urn:uuid:${id}"`,
      `"${id}\\u0000"`,
    ].map((text): [string, string] => [`{"correlationId":${text},"amount":1}`, "/correlationId"]),
  ])("refuses %s and names %s", async (body, pointer) => {
    const answer = await pay(body);
    expect(answer.status).toBe(400);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    const problem = (await answer.json()) as { errors?: { pointer: string }[] };
    expect(problem.errors?.[0]?.pointer).toBe(pointer);
  });

  it("refuses what is too long, no JSON or of no allowed method", async () => {
    expect((await pay(`{"correlationId":"${id}","amount":1,"more":"${"x".repeat(1024 * 1024)}"}`)).status).toBe(413);
    expect((await pay("a=b", { "content-type": "application/x-www-form-urlencoded" })).status).toBe(415);
    expect((await call("/payments")).status).toBe(405);
    expect((await fetch(`${gateway.url}/payments`, { method: "POST", body: "{}" })).status).toBe(401);
  });

  it.each([
    ["GET", `/payments/${id}`],
    ["GET", "/payments-summary?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00.5Z"],
    ["POST", "/purge-payments"],
  ])("hands %s %s to the payment service, and its answer back", async (method, path) => {
    const answer = await call(path, { method });
    expect([asked.at(-1)?.method, asked.at(-1)?.url]).toEqual([method, path]);
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([404, "1"]);
  });
});

describe("what is told of a payment, also when Kafka does not answer well", () => {
  const plain = JSON.stringify({ correlationId: id, amount: 1 });
  const escaped = plain.replace("amount", "\\u0061mount");

  /** The bytes that come back for one request on one connection; "" when it is dropped. */
  async function answerWhen(body: string, error: unknown, log = logger): Promise<string> {
    const lifecycle = makeLifecycle({ logger: log, graceMs: 5_000 });
    const notes = makePaymentNotes();
    const accept = async (_: PaymentRequest): Promise<void> => {
      if (error !== undefined) throw error;
    };
    const app = makeHttpApp({ logger: log, name: "test" });
    app.post("/payments", acceptPaymentRoute({ accept, notes }));
    const settings = gatewaySettings.parse({});
    const keyring = { findKnown: () => undefined, find: async () => undefined, forget: () => undefined };
    const front = makePaymentFront({ app, accept, notes, keyring, settings: () => settings, logger: log });
    const server = await serveHttp({ app, front, port: 0, lifecycle });
    try {
      const socket = connect(server.port, "127.0.0.1");
      socket.write(
        `POST /payments HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      );
      let bytes = "";
      for await (const chunk of socket) bytes += String(chunk);
      return bytes;
    } finally {
      await lifecycle.shutdown("the test is over");
    }
  }

  it.each([plain, escaped])("202 and a line in the log that names the payment: %s", async (body) => {
    const lines: { msg: string; payment: string; status: number }[] = [];
    const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
    expect(await answerWhen(body, undefined, makeLogger({ name: "told", destination }))).toMatch(/^HTTP\/1.1 202 /);
    expect(lines.filter(({ msg }) => msg === "request")).toMatchObject([{ payment: id, status: 202 }]);
  });

  it.each([plain, escaped])("503 for what was certainly not written: %s", async (body) => {
    const answer = await answerWhen(body, new AppError("kafka_unavailable"));
    expect(answer).toMatch(/^HTTP\/1.1 503 /);
    expect(answer.toLowerCase()).toContain("retry-after: 1");
    expect(answer).toContain('"code":"kafka_unavailable"');
  });

  it.each([plain, escaped])("nothing for what may have been: %s", async (body) => {
    expect(await answerWhen(body, new AppError("publish_unknown"))).toBe("");
    expect(await answerWhen(body, new TypeError("a fault of ours"))).toBe("");
  });

  it("503 at once after 10 s without progress, one request at a time finding out whether it is back", async () => {
    let nowMs = 0;
    const sends: { resolve(): void; reject(error: unknown): void }[] = [];
    const accept = makeAcceptPayment({
      producer: { send: () => new Promise<void>((resolve, reject) => void sends.push({ resolve, reject })) },
      topic: "payments",
      newId: () => "1",
      nowMs: () => 0,
      monotonicMs: () => nowMs,
    });
    const request = { correlationId: id, amount: 1 };
    const unavailable = { code: "kafka_unavailable" };
    const first = accept(request);
    nowMs = 9_000;
    const second = accept(request);
    nowMs = 10_001;
    await expect(accept(request)).rejects.toMatchObject(unavailable);
    expect(sends).toHaveLength(2);
    for (const { reject } of sends) reject(new AppError("kafka_unavailable"));
    await expect(first).rejects.toMatchObject(unavailable);
    await expect(second).rejects.toMatchObject(unavailable);
    const probe = accept(request);
    await expect(accept(request)).rejects.toMatchObject(unavailable);
    expect(sends).toHaveLength(3);
    sends[2]?.resolve();
    await probe;
    const after = accept(request);
    sends[3]?.resolve();
    await after;
  });
});
