import { type SourcesResponse, searchFailure, searchResponse } from "@pricing-engine/contracts";
import { eventually, type SpawnedService, spawnService } from "@pricing-engine/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Answer } from "../support/client.ts";
import { type Engine, startEngine } from "../support/engine.ts";

let engine: Engine;
let provider: SpawnedService;

interface Zone {
  readonly id: string;
  readonly capacity: number;
  readonly price: string;
}

/** One plan, whose zones become products. */
function feed(zones: readonly Zone[]): string {
  const lines = zones.map(
    ({ id, capacity, price }) =>
      `<zone zone_id="${id}" capacity="${capacity}" price="${price}" name="Zone ${id}" numbered="false"/>`,
  );
  return `<planList><output><base_plan base_plan_id="7" sell_mode="online" title="Jazz"><plan plan_id="1" plan_start_date="2031-05-01T20:00:00" plan_end_date="2031-05-01T22:00:00" sold_out="false">${lines.join("")}</plan></base_plan></output></planList>`;
}

async function provide(...zones: readonly Zone[]): Promise<void> {
  const body = JSON.stringify({ documents: [feed(zones)] });
  const answer = await fetch(`${provider.url}/control/jazz`, { method: "PUT", body });
  expect(answer.status).toBe(200);
}

const auth = { auth: "apiKey" };

beforeAll(async () => {
  provider = await spawnService({ entry: new URL("../simulators/provider/main.ts", import.meta.url) });
  await provide({ id: "a", capacity: 30, price: "20.00" }, { id: "b", capacity: 5, price: "35" });
  engine = await startEngine({
    gateway: auth,
    pricing: {
      policy: {
        market: [{ name: "scarce", when: "signals.stock < 10.0", adjust: { multiply: "1.5" }, reason: "Few are left" }],
      },
    },
    ingest: {
      sources: [
        { name: "jazz", url: `${provider.url}/feeds/jazz`, format: "plan-list-xml", interval: "1s", products: true },
      ],
    },
  });
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  await provider?.stop();
});

const search = (query = "", headers: Record<string, string> = {}): Promise<Answer> =>
  engine.client.call("GET", `/search${query}`, { headers });

/** The products of the feed, by the name of their zone. */
async function products(): Promise<Map<string, { product_id: string; base_price: string; stock: number }>> {
  const answer = await engine.client.call("GET", "/api/v1/products");
  const { products: found } = answer.body as {
    products: { product_id: string; name: string; base_price: string; stock: number }[];
  };
  return new Map(found.map((product) => [product.name, product]));
}

it("makes priced products of a feed's zones, and market events of their changes", async () => {
  const known = await eventually(
    async () => {
      const found = await products();
      expect([...found.keys()].sort()).toEqual(["Jazz, Zone a", "Jazz, Zone b"]);
      return found;
    },
    { timeoutMs: 30_000 },
  );
  const a = known.get("Jazz, Zone a");
  expect(a).toMatchObject({
    base_price: "20.00",
    stock: 30,
    currency: "EUR",
    attributes: { source: "jazz", zone_id: "a" },
  });
  const id = a?.product_id ?? "";
  expect((await engine.client.price(id)).final_price).toBe("20.00");

  // A price is the product's; a capacity is a market event too; a zone that is gone has nothing left.
  await provide({ id: "a", capacity: 30, price: "22.50" }, { id: "b", capacity: 5, price: "35" });
  await eventually(async () => expect((await engine.client.price(id)).final_price).toBe("22.50"), {
    timeoutMs: 20_000,
  });
  await provide({ id: "a", capacity: 4, price: "22.50" });
  await eventually(async () => expect((await engine.client.price(id)).final_price).toBe("33.75"), {
    timeoutMs: 20_000,
  });
  const after = await products();
  expect(after.get("Jazz, Zone a")).toMatchObject({ product_id: id, stock: 4 });
  const b = after.get("Jazz, Zone b")?.product_id ?? "";
  await eventually(async () => expect((await engine.client.price(b)).final_price).toBe("52.50"), { timeoutMs: 20_000 });
  const { sources } = (await engine.client.call("GET", "/api/v1/sources")).body as SourcesResponse;
  expect(sources).toMatchObject([{ name: "jazz", state: "Healthy", plans: { seen: 1 }, rejected: 0 }]);
});

it("answers /search through the gateway in its own envelope, whatever happens", async () => {
  const day = "?starts_at=2031-05-01T00:00:00Z&ends_at=2031-05-01T23:59:59Z";
  const found = await eventually(async () => {
    const answer = await search(day);
    expect(searchResponse.parse(answer.body).data.events).toHaveLength(1);
    return answer;
  });
  const cached = await search(day, { "if-none-match": String(found.headers.etag) });
  expect([cached.status, cached.text]).toEqual([304, ""]);
  const head = await engine.client.call("HEAD", `/search${day}`);
  expect([head.status, head.text]).toEqual([200, ""]);

  const failures: Record<string, Answer> = {
    "400 a date": await search("?starts_at=2031-02-30T00:00:00Z"),
    "400 the wrong way round": await search("?starts_at=2031-05-02T00:00:00Z&ends_at=2031-05-01T00:00:00Z"),
    "400 repeated": await search("?limit=5&limit=5"),
    "400 out of the years": await search("?starts_at=0001-01-01T00:00:00%2B12:00"),
    "400 a cursor": await search("?cursor=999999999999999_00000000-0000-8000-8000-000000000000"),
    "400 not percent-encoded": await search("?starts_at=%ff"),
    "401 no key": await search(day, { authorization: "" }),
    "401 a wrong one": await search(day, { authorization: "Bearer pe_wrong" }),
    "405 a POST": await engine.client.call("POST", "/search", { json: {} }),
  };
  await engine.edit({
    gateway: { ...auth, rateLimit: { capacity: 1, refillPerSecond: 0.01, routes: ["GET /search"] } },
  });
  failures["429 too many"] = await eventually(async () => {
    const answer = await search(day);
    expect(answer.status).toBe(429);
    return answer;
  });
  await engine.edit({ gateway: auth });
  await eventually(async () => expect((await search(day)).status).toBe(200));
  for (const service of engine.processes("ingest-api")) await service.kill();
  failures["503 ingest is gone"] = await search("?starts_at=2031-05-01T00:00:01Z");
  for (const [name, { status, body, headers }] of Object.entries(failures)) {
    expect([name, status]).toEqual([name, Number(name.slice(0, 3))]);
    expect([name, searchFailure.safeParse(body).error]).toEqual([name, undefined]);
    if (status === 429 || status === 503) expect(Number(headers["retry-after"])).toBeGreaterThan(0);
  }
  // What is in Redis is answered without it.
  expect((await search(day)).status).toBe(200);
});
