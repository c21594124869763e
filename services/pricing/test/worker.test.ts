import { Readable } from "node:stream";
import { policySchema } from "@pricing-engine/contracts";
import { eventually, startOtlpCollector, watchSessionSetting } from "@pricing-engine/testkit";
import { expect, it } from "vitest";
import { productLines, type RunningPricing, startPricing } from "./support/processes.ts";
import { byDemand, product } from "./support/service.ts";

// Each recalculation moves every price, by one step.
const rising = policySchema.parse({
  market: [{ name: "rise", adjust: { multiply: "5.0" }, reason: "Rising" }],
  corridor: { maxStep: "0.10" },
});

async function importProducts(pricing: RunningPricing, count: number): Promise<void> {
  const body = Readable.toWeb(Readable.from(productLines(count)));
  const init = { method: "POST", body, duplex: "half", headers: { "content-type": "application/x-ndjson" } };
  const response = await fetch(`${pricing.api.url}/api/v1/products:import`, init as RequestInit);
  expect(await response.json()).toEqual({ imported: count, rejected: [], rejected_total: 0 });
}

const doneChunks = async (pricing: RunningPricing, taskId: string): Promise<number> => {
  const [row] = await pricing.pool.sql<{ n: number }[]>`
    select count(*)::int as n from pricing.task_chunks where task_id = ${taskId} and status = 'done'`;
  return row?.n ?? 0;
};

/** Prices that are not what `steps` steps of a tenth make of 10.00. */
const wrongPrices = async (pricing: RunningPricing, priceMinor: number): Promise<number> => {
  const [row] = await pricing.pool.sql<{ n: number }[]>`
    select count(*)::int as n from pricing.prices where price_minor <> ${priceMinor}`;
  return row?.n ?? -1;
};

it("every product is recalculated once and the task ends, though workers are killed and paused on the way", async () => {
  await using pricing = await startPricing({
    env: { RECALCULATION_CHUNK_SIZE: "50", WORKER_CONCURRENCY: "1", TASK_OVERDUE_MS: "5000" },
  });
  await importProducts(pricing, 3000);
  const silence = await watchSessionSetting(pricing.pool.sql, {
    ...{ setting: "idle_in_transaction_session_timeout", table: "pricing.task_chunks", on: "update" },
  });
  const first = await pricing.startWorker();
  const zombie = await pricing.startWorker();
  // The first recalculation, under the policy that is there, leaves the prices as they are.
  await pricing.taskEnd(await pricing.publish({}));
  const ttl = JSON.stringify({ demand: 0, competitor_price: 0, stock: 0, cost: 0 });
  await pricing.pool.sql`
    insert into pricing.policies (version, policy, signal_ttl_ms, epoch, settings_revision)
    select max(version) + 1, ${JSON.stringify(rising)}::text::jsonb, ${ttl}::text::jsonb, 9, 9 from pricing.policies`;

  const taskId = await pricing.publish({});
  await eventually(async () => (await doneChunks(pricing, taskId)) >= 3, { timeoutMs: 60_000, intervalMs: 5 });
  zombie.pause();
  await first.kill("SIGKILL");
  expect((await pricing.task(taskId)).status).toBe("running");
  await pricing.startWorker();
  const end = await pricing.taskEnd(taskId, 60_000);
  expect(end).toMatchObject({
    status: "succeeded",
    products: { total: 3000, done: 3000, changed: 3000, failed: 0 },
  });
  expect(await wrongPrices(pricing, 1100)).toBe(0);

  zombie.resume();
  // It is back when it takes part in what comes next; until then it had every chance to undo something.
  const next = await pricing.taskEnd(await pricing.publish({}), 60_000);
  expect(next).toMatchObject({ status: "succeeded", products: { done: 3000, changed: 3000 } });
  expect(await wrongPrices(pricing, 1210)).toBe(0);
  // So long the locks of one that is paused within a chunk's transaction keep the others waiting.
  expect(new Set(Object.values(await silence()).flat())).toEqual(new Set(["10s"]));
}, 300_000);

it("an event is one trace from the request through the outbox and Kafka to the worker", async () => {
  await using collector = await startOtlpCollector();
  await using pricing = await startPricing({
    policy: byDemand,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint, TRACE_SAMPLE_RATIO: "1" },
  });
  await pricing.startWorker();
  expect((await pricing.call("PUT", "/api/v1/products/seat", product())).status).toBe(201);
  const taskId = await pricing.publish({ type: "demand", product_id: "seat", demand: 3 });
  expect(await pricing.taskEnd(taskId)).toMatchObject({ status: "succeeded", products: { changed: 1 } });

  await eventually(
    () => {
      const spans = collector.spans();
      const request = spans.find(({ name }) => name.includes("publish-market-event"));
      const processed = spans.find(({ name, traceId }) => name.startsWith("process") && traceId === request?.traceId);
      // The message was written by the transaction that made the task, and applied by one of the worker's.
      const transactions = spans.filter(({ name }) => name === "postgres transaction");
      const written = transactions.find(({ spanId }) => spanId === processed?.parentSpanId);
      expect(written?.parentSpanId).toBe(request?.spanId);
      expect(transactions.some(({ parentSpanId }) => parentSpanId === processed?.spanId)).toBe(true);
    },
    { timeoutMs: 60_000 },
  );
}, 300_000);

it("an import of 100,000 lines takes no more memory than one of 10,000", async () => {
  // Young garbage is bounded so that what is measured is what is kept, not what the collector has not got to yet.
  await using pricing = await startPricing({
    env: { NODE_OPTIONS: "--max-semi-space-size=4 --max-old-space-size=160" },
  });
  const residentMiB = async (): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${pricing.api.metricsPort}/metrics`)).text();
    return Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1]) / 1024 / 1024;
  };
  await importProducts(pricing, 10_000);
  const before = await residentMiB();
  // Lines that say nothing new are read, checked and compared like the others.
  await importProducts(pricing, 100_000);
  expect((await residentMiB()) - before).toBeLessThan(40);
}, 300_000);

it("the first scrape of a worker shows what waits in the outbox, since when, and what was given up", async () => {
  await using pricing = await startPricing();
  const { metricsPort } = await pricing.startWorker();
  await pricing.pool.sql`
    insert into pricing.outbox (bucket, sink, aggregate, topic, payload, attempts, parked_at)
    values (0, 'kafka', 'a product', 'market-events', '{}', 5, now())`;
  const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  expect(metrics).toMatch(/^pricing_engine_outbox_parked\{sink="kafka"\} 1$/m);
  expect(metrics).toMatch(/^pricing_engine_outbox_depth\{sink="kafka"\} \d+$/m);
  expect(metrics).toMatch(/^pricing_engine_outbox_age_seconds\{sink="kafka"\} \S+$/m);
}, 120_000);

it("SIGTERM drains: the worker leaves with what it holds finished, and exits 0", async () => {
  await using pricing = await startPricing({ policy: byDemand });
  const worker = await pricing.startWorker();
  await importProducts(pricing, 200);
  const taskIds = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      pricing.publish({ type: "demand", product_id: `p-${String(index).padStart(6, "0")}`, demand: 2 }),
    ),
  );
  expect(await worker.stop()).toEqual({ code: 0, signal: null });
  await pricing.startWorker();
  for (const taskId of taskIds) {
    expect(await pricing.taskEnd(taskId, 60_000)).toMatchObject({ status: "succeeded", products: { changed: 1 } });
  }
  const [row] = await pricing.pool.sql<{ n: number }[]>`
    select count(*)::int as n from pricing.prices where sequence = 2 and price_minor = 2000`;
  expect(row?.n).toBe(50);
}, 300_000);
