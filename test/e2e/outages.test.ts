import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Infra, startInfra } from "@pricing-engine/hack/infra";
import { eventually } from "@pricing-engine/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Engine, startEngine } from "../support/engine.ts";
import { failuresOf, findBacksteps, startLoad } from "../support/load.ts";
import { demandIsPrice, priceOf } from "../support/moving-price.ts";
import { findContractFault } from "../support/problem.ts";

let servers: Infra<"kafka" | "postgres">;
let engine: Engine;

beforeAll(async () => {
  servers = await startInfra({
    dir: mkdtempSync(join(tmpdir(), "pricing-engine-outages-")),
    services: ["kafka", "postgres"],
    ports: "random",
    lifetime: "session",
    ephemeral: true,
    log: () => {},
  });
  const { kafkaBrokers, postgresUrl } = servers.endpoints;
  engine = await startEngine({ kafkaBrokers, postgresUrl, pricing: { ...demandIsPrice, cacheTtl: "60s" } });
}, 300_000);
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  await servers?.stop();
});

function demandEvent(productId: string, demand: number): Record<string, unknown> {
  return { type: "demand", product_id: productId, demand, event_id: `${productId}-${demand}` };
}

it("accepts events while Kafka is down, and processes them when it is back", async () => {
  const { client } = engine;
  await client.put("patient");
  // The workers are members of their group by now.
  expect((await client.taskEnd(await client.publish(demandEvent("patient", 2)))).status).toBe("succeeded");

  await servers.kill("kafka");
  const taskIds: string[] = [];
  for (const demand of [3, 4, 5]) taskIds.push(await client.publish(demandEvent("patient", demand)));
  expect((await client.price("patient")).final_price).toBe("2.00");
  const statuses = await Promise.all(taskIds.map(async (taskId) => (await client.task(taskId)).status));
  expect(new Set(statuses)).toEqual(new Set(["queued"]));

  await servers.restart("kafka");
  const ends = await Promise.all(taskIds.map((taskId) => client.taskEnd(taskId, 60_000)));
  expect(ends.at(-1)?.status).toBe("succeeded");
  await eventually(async () => expect((await client.price("patient")).final_price).toBe("5.00"));
}, 300_000);

it("goes on with prices from the cache while Postgres restarts, refuses writes, and loses nothing it accepted", async () => {
  const { client } = engine;
  await client.put("cached", { base_price: "0.01" });
  await client.put("written", { base_price: "0.01" });
  await eventually(async () => expect((await client.price("cached")).source).toBe("cache"));

  const reads = startLoad(8, () => client.price("cached"));
  let demand = 100;
  const writes = startLoad(2, async () => {
    demand += 1;
    return client.call("POST", "/api/v1/publish-market-event", { json: demandEvent("written", demand / 100) });
  });
  const countWrites = (status: number): number =>
    writes.observations.filter(({ result }) => result.ok && result.value.status === status).length;
  await eventually(() => countWrites(202) > 10, { timeoutMs: 60_000 });
  await servers.kill("postgres");
  const readsBefore = reads.observations.length;
  await eventually(() => countWrites(503) > 3 && reads.observations.length > readsBefore + 100, { timeoutMs: 60_000 });
  await servers.restart("postgres");
  const acceptedBefore = countWrites(202);
  await eventually(() => countWrites(202) > acceptedBefore + 10, { timeoutMs: 30_000 });
  const [read, written] = await Promise.all([reads.stop(), writes.stop()]);

  expect(failuresOf(read)).toEqual([]);
  expect(findBacksteps(read, priceOf)).toEqual([]);
  expect(failuresOf(written)).toEqual([]);
  const answers = written.flatMap(({ result }) => (result.ok ? [result.value] : []));
  const refused = answers.filter(({ status }) => status !== 202);
  expect(refused.map(({ status }) => status).filter((status) => status !== 503)).toEqual([]);
  expect(refused.map(findContractFault).filter((fault) => fault !== undefined)).toEqual([]);

  const accepted = answers
    .filter(({ status }) => status === 202)
    .map(({ body }) => (body as { task_id: string }).task_id);
  const ends = await Promise.all(accepted.map((taskId) => client.taskEnd(taskId, 60_000)));
  expect(ends.map(({ status }) => status).filter((status) => status !== "succeeded" && status !== "skipped")).toEqual(
    [],
  );
}, 300_000);
