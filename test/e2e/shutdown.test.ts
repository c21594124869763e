import { eventually, type SpawnedService } from "@pricing-engine/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Engine, startEngine } from "../support/engine.ts";
import { failuresOf, type Load, startLoad } from "../support/load.ts";
import { findContractFault } from "../support/problem.ts";

let engine: Engine;

beforeAll(async () => {
  engine = await startEngine({ replicas: { gateway: 2, "pricing-worker": 2 } });
  await engine.client.importProducts(50);
});
afterAll(() => engine?.[Symbol.asyncDispose]());

/** A broken connection while the processes that share a port change: nothing was answered, and a price may be asked again. */
async function repeating<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "";
      const broken = ["ECONNREFUSED", "ECONNRESET", "EPIPE", "UND_ERR_SOCKET"].includes(code);
      if (!broken || attempt === 5) throw error;
    }
  }
}

async function observed(load: Load<unknown>, more: number): Promise<void> {
  const { length } = load.observations;
  await eventually(() => load.observations.length >= length + more, { timeoutMs: 60_000 });
}

function one(services: readonly SpawnedService[]): SpawnedService {
  const [service] = services;
  if (service === undefined) throw new Error("none is running");
  return service;
}

it("a gateway ends in order under load: no request fails, the other one takes over", async () => {
  const { client } = engine;
  const load = startLoad(16, (nth) => repeating(() => client.price(`p-${String(nth % 50).padStart(6, "0")}`)));
  await observed(load, 200);
  expect(await one(engine.processes("gateway")).stop()).toEqual({ code: 0, signal: null });
  await observed(load, 200);
  await engine.start("gateway");
  await observed(load, 200);
  expect(failuresOf(await load.stop())).toEqual([]);
});

it("the pricing api answers what it has begun, and its absence is a 503 that says when to come back", async () => {
  const { client } = engine;
  // Contexts that nobody has asked for: each is a miss.
  const ask = (nth: number) => ({ product_id: "p-000001", user_location: `at ${nth} ${process.pid}` });
  const load = startLoad(16, (nth) => client.call("POST", "/api/v1/price", { json: ask(nth) }));
  await observed(load, 200);
  expect(await one(engine.processes("pricing-api")).stop()).toEqual({ code: 0, signal: null });
  await engine.start("pricing-api");
  await observed(load, 200);
  const observations = await load.stop();
  expect(failuresOf(observations)).toEqual([]);
  const others = observations.flatMap(({ result }) => (result.ok && result.value.status !== 200 ? [result.value] : []));
  expect(others.filter(({ status }) => status !== 503).map(({ text }) => text)).toEqual([]);
  expect(others.map(findContractFault).filter((fault) => fault !== undefined)).toEqual([]);
});

it("a worker ends in order in mid-recalculation, and the other one finishes it", async () => {
  const { client } = engine;
  const events: string[] = [];
  const load = startLoad(4, async (nth) => {
    const event = { type: "demand", product_id: `p-${String(nth % 50).padStart(6, "0")}`, demand: 1 + (nth % 90) };
    const taskId = await client.publish(event);
    events.push(taskId);
    return taskId;
  });
  await observed(load, 50);
  const recalculation = await client.publish();
  expect(await one(engine.processes("pricing-worker")).stop()).toEqual({ code: 0, signal: null });
  await observed(load, 50);
  expect(failuresOf(await load.stop())).toEqual([]);
  expect((await client.taskEnd(recalculation, 40_000)).status).toBe("succeeded");
  const ends = await Promise.all(events.map((taskId) => client.taskEnd(taskId, 40_000)));
  expect(ends.map(({ status }) => status).filter((status) => status !== "succeeded" && status !== "skipped")).toEqual(
    [],
  );
});
