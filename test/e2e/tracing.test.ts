import { type CollectedSpan, eventually, type OtlpCollector, startOtlpCollector } from "@pricing-engine/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Engine, startEngine } from "../support/engine.ts";

let collector: OtlpCollector;
let engine: Engine;

beforeAll(async () => {
  collector = await startOtlpCollector();
  engine = await startEngine({ telemetry: { otlpEndpoint: collector.endpoint, sampleRatio: "1" } });
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  await collector?.close();
});

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const clientSpanId = "00f067aa0ba902b7";

it("makes one trace of an event: gateway, pricing api, Postgres, Kafka, worker", async () => {
  const { client } = engine;
  await client.put("traced");
  const headers = { traceparent: `00-${traceId}-${clientSpanId}-01`, "x-correlation-id": "order-77" };
  const event = { type: "demand", product_id: "traced", demand: 2 };
  const answer = await client.call("POST", "/api/v1/publish-market-event", { json: event, headers });
  expect(answer.status).toBe(202);
  expect(answer.headers["x-correlation-id"]).toBe("order-77");
  expect(answer.headers.traceparent).toContain(traceId);
  await client.taskEnd((answer.body as { task_id: string }).task_id);

  const find = (what: (span: CollectedSpan) => boolean): CollectedSpan[] => {
    return collector.spans().filter((span) => span.traceId === traceId && what(span));
  };
  const ancestorsOf = (span: CollectedSpan): CollectedSpan[] => {
    const parent = find(({ spanId }) => spanId === span.parentSpanId)[0];
    return parent === undefined ? [] : [parent, ...ancestorsOf(parent)];
  };
  const isPostgres = (span: CollectedSpan): boolean => span.attributes["db.system.name"] === "postgresql";

  await eventually(
    () => {
      const [atGateway] = find((span) => span.serviceName === "gateway" && span.kind === "server");
      expect(atGateway).toMatchObject({ parentSpanId: clientSpanId, name: "POST /api/v1/publish-market-event" });
      const [atApi] = find((span) => span.serviceName === "pricing-api" && span.kind === "server");
      expect(ancestorsOf(atApi as CollectedSpan)).toContainEqual(atGateway);
      const [atWorker] = find((span) => span.serviceName === "pricing-worker" && span.kind === "consumer");
      expect(atWorker).toBeDefined();
      // The message carries the context of the transaction that wrote it, through the outbox and Kafka.
      expect(ancestorsOf(atWorker as CollectedSpan)).toContainEqual(atApi);
      for (const server of ["pricing-api", "pricing-worker"]) {
        const [query] = find((span) => span.serviceName === server && isPostgres(span));
        expect(query, `a statement of ${server}`).toBeDefined();
        const owner = server === "pricing-api" ? atApi : atWorker;
        expect(ancestorsOf(query as CollectedSpan)).toContainEqual(owner);
      }
    },
    { timeoutMs: 60_000 },
  );
  expect(find(({ status }) => status === "error")).toEqual([]);
});
