import { Pool } from "@pricing-engine/chassis/http-client";
import type { CatalogEventData, CatalogZone } from "@pricing-engine/contracts";
import { makePool } from "@pricing-engine/postgres";
import { eventually, type SpawnedService, spawnService } from "@pricing-engine/testkit";
import { expect, it } from "vitest";
import { digest } from "../src/adapters/digest.ts";
import { planIdOf } from "../src/domain/identity.ts";
import { makeApplyCatalogEvents } from "../src/usecases/apply-catalog-events.ts";
import { makeIngest, silent } from "./support/engine.ts";
import { cpuSeconds } from "./support/process.ts";

const plans = 10_000;
const zones = 100;
const day = "/search?starts_at=2030-01-10T00:00:00Z&ends_at=2030-01-10T23:59:59Z";
const requests = 3_000;

function planEvent(index: number): CatalogEventData {
  const startsAtMs = Date.UTC(2030, 0, 1) + index * 20 * 60_000;
  const endsAtMs = startsAtMs + 60 * 60_000;
  const local = (ms: number) => new Date(ms).toISOString().slice(0, 19);
  const zone = (number: number): CatalogZone => {
    return {
      zoneId: String(number),
      name: `Zone ${number}`,
      numbered: false,
      capacity: 5,
      priceHundredths: 1000 + number,
    };
  };
  return {
    kind: "plan",
    id: planIdOf(digest, "test", String(index), "1"),
    source: "test",
    sequence: 1,
    contentHash: String(index),
    observedAt: new Date().toISOString(),
    products: false,
    plan: {
      basePlanId: String(index),
      planId: "1",
      title: `Concierto número ${index}`,
      online: true,
      soldOut: false,
      start: local(startsAtMs),
      end: local(endsAtMs),
      startsAtMs,
      endsAtMs,
      zones: Array.from({ length: zones }, (_, number) => zone(number)),
    },
  };
}

it("answers a warm search of one day, of 10,000 plans × 100 zones, from Redis", async () => {
  await using engine = await makeIngest();
  const pool = makePool({ url: engine.database.url, max: 4, applicationName: "test", logger: silent });
  try {
    const apply = makeApplyCatalogEvents({ pool, digest, currency: () => "EUR" });
    for (let from = 0; from < plans; from += 100) {
      await apply(Array.from({ length: 100 }, (_, index) => planEvent(from + index)));
    }
  } finally {
    await pool.close();
  }
  const [api] = await Promise.all([
    engine.start("api", { POSTGRES_REPLICA_URL: engine.database.replicaUrl }),
    engine.start("worker"),
  ]);
  await using gateway = await spawnService({
    entry: new URL("../../gateway/src/main.ts", import.meta.url),
    args: ["api"],
    env: { ...engine.env, INGEST_URL: api.url },
    timeoutMs: 40_000,
  });
  const body = await eventually(async () => {
    const answer = await fetch(gateway.url + day, { headers: { "accept-encoding": "identity" } });
    const text = await answer.text();
    expect(JSON.parse(text).data.events).toHaveLength(69);
    return text;
  });
  expect((await fetch(`${gateway.url}/search?limit=0`)).status).toBe(400);
  expect(await (await fetch(`${gateway.url}/search?limit=0`)).json()).toMatchObject({
    data: null,
    error: { code: "validation_failed" },
  });
  expect(JSON.parse(await (await fetch(`${gateway.url}/search`)).text()).data.events).toHaveLength(plans);
  expect((await fetch(`${gateway.url}/api/v1/sources`)).status).toBe(200);

  await using bare = await spawnService({
    entry: new URL("./support/bare-server.ts", import.meta.url),
    env: { BODY_BYTES: String(Buffer.byteLength(body)) },
  });
  const ratios: number[] = [];
  const costs: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    const reference = await load(bare, "/");
    const ours = await load(gateway, day);
    if (round === 0) continue;
    ratios.push(ours.perSecond / reference.perSecond);
    costs.push(ours.cpuMs / reference.cpuMs);
  }
  const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
  console.log(
    `warm /search of ${Buffer.byteLength(body)} bytes: ${median(ratios).toFixed(2)} of bare node:http (${ratios.map((ratio) => ratio.toFixed(2)).join(", ")}); processor time a request ${median(costs).toFixed(1)} times as much`,
  );
  expect(median(ratios)).toBeGreaterThan(0.3);
}, 300_000);

async function load(service: SpawnedService, path: string): Promise<{ perSecond: number; cpuMs: number }> {
  const client = new Pool(service.url, { connections: 64 });
  const cpuBefore = cpuSeconds(service.pid);
  const startedMs = performance.now();
  let left = requests;
  const run = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const { statusCode, body } = await client.request({ method: "GET", path });
      expect(statusCode).toBe(200);
      await body.dump({ limit: 1e9 });
    }
  };
  await Promise.all(Array.from({ length: 64 }, run));
  const seconds = (performance.now() - startedMs) / 1000;
  const cpuMs = ((cpuSeconds(service.pid) - cpuBefore) * 1000) / requests;
  await client.close();
  return { perSecond: requests / seconds, cpuMs };
}
