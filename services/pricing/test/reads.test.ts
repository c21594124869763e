import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  explainResponse,
  historyResponse,
  policySchema,
  priceBatchResponse,
  priceRequest,
  priceResponse,
} from "@pricing-engine/contracts";
import {
  type AskedMiss,
  decodeAnswers,
  encodeMisses,
  encodeTicket,
  makePriceCache,
  missBatchPath,
  type PriceCache,
} from "@pricing-engine/price-cache";
import { type GuardedRedis, makeRedis } from "@pricing-engine/redis";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeDecisionSigner } from "../src/adapters/decision-signer.ts";
import { makeMissFront } from "../src/http/miss-front.ts";
import { makeApplyMarketEvent } from "../src/usecases/apply-market-event.ts";
import { makeDeleteProduct } from "../src/usecases/delete-product.ts";
import type { GetPrice } from "../src/usecases/get-price.ts";
import { makeMarkCommitted } from "../src/usecases/mark-committed.ts";
import { toWrite } from "../src/usecases/product-document.ts";
import { makeWriteProducts } from "../src/usecases/write-products.ts";
import { members, openReads, type Reads, signer } from "./support/reads.ts";
import { byDemand, product, silent, type TestService } from "./support/service.ts";

const stranger = makeDecisionSigner({ keys: [{ id: "k1", secret: Buffer.alloc(32, 8).toString("base64") }] });

let opened: Reads;
let service: TestService;
let redis: GuardedRedis;
let cache: PriceCache;
let getPrice: GetPrice;
let send: Reads["send"];

beforeEach(async () => {
  opened = await openReads();
  ({ service, redis, cache, getPrice, send } = opened);
});
afterEach(() => opened.close());

async function price(body: unknown) {
  const response = await send("/api/v1/price", body);
  expect(response.status).toBe(200);
  return priceResponse.parse(await response.json());
}

async function explain(query: string) {
  const response = await send(`/api/v1/prices/seat/explain?${query}`);
  expect(response.status).toBe(200);
  return explainResponse.parse(await response.json());
}

/** What `publish` leaves behind through the outbox relay. */
async function relayMarker(productId: string): Promise<void> {
  const [row] = await service.pool.sql<{ sequence: number }[]>`
    select sequence::int as sequence from pricing.prices where product_id = ${productId}`;
  await cache.markSequences([{ productId, sequence: row?.sequence ?? 0 }]);
}

describe("a price", () => {
  it("comes from the database, then from the cache, with the same decision", async () => {
    await service.putProduct("seat", product({ base_price: "19.90" }));
    const computed = await price({ product_id: "seat", something: "else" });
    expect(computed).toMatchObject({
      product_id: "seat",
      final_price: "19.90",
      base_price: "19.90",
      discount_rate: 0,
      source: "database",
      currency: "EUR",
    });
    expect(await price({ product_id: "seat" })).toEqual({ ...computed, source: "cache" });
  });

  it("is never shared by members and guests, quantities, places, segments or currencies", async () => {
    await service.setPolicy(members);
    await service.putProduct("seat", product());
    const contexts = [
      {},
      { is_prime_member: true },
      { quantity: 2 },
      { user_location: "DE" },
      { segment: "b2b" },
      { currency: "EUR" },
    ];
    for (const context of contexts)
      expect(await price({ product_id: "seat", ...context })).toMatchObject({ source: "database" });
    expect(await price({ product_id: "seat", is_prime_member: true })).toMatchObject({
      source: "cache",
      final_price: "19.00",
    });
    expect(await price({ product_id: "seat" })).toMatchObject({ source: "cache", final_price: "20.00" });
  });

  it("is the new one after a write, a policy change or a new product under an old id", async () => {
    await service.putProduct("seat", product({ base_price: "10.00" }));
    expect(await price({ product_id: "seat" })).toMatchObject({ final_price: "10.00" });
    await service.putProduct("seat", product({ base_price: "12.00" }));
    await relayMarker("seat");
    expect(await price({ product_id: "seat" })).toMatchObject({ final_price: "12.00", source: "database" });
    expect(await price({ product_id: "seat" })).toMatchObject({ final_price: "12.00", source: "cache" });
    await service.deleteProduct("seat");
    await relayMarker("seat");
    expect((await send("/api/v1/price", { product_id: "seat" })).status).toBe(404);
    await service.putProduct("seat", product({ base_price: "7.00" }));
    await relayMarker("seat");
    expect(await price({ product_id: "seat" })).toMatchObject({ final_price: "7.00", source: "database" });
  });

  it("is the new one right after the answer to a write, before the relay has come by", async () => {
    const deps = { ...service, markCommitted: makeMarkCommitted({ cache, logger: silent }) };
    const write = (base_price: string) => makeWriteProducts(deps)([toWrite("seat", product({ base_price }))]);
    await write("10.00");
    expect(await price({ product_id: "seat" })).toMatchObject({ final_price: "10.00" });
    await write("12.00");
    expect(await price({ product_id: "seat" })).toMatchObject({ final_price: "12.00" });
    await service.setPolicy(byDemand);
    const event = { kind: "demand", productId: "seat", demand: 1.5, observedAt: new Date().toISOString() } as const;
    await makeApplyMarketEvent(deps)({ id: "e1", data: event });
    expect(await price({ product_id: "seat" })).toMatchObject({ final_price: "18.00" });
    await makeDeleteProduct(deps)("seat");
    expect((await send("/api/v1/price", { product_id: "seat" })).status).toBe(404);
  });

  it("of a write that Redis did not hear of is written all the same", async () => {
    const nobody = makeRedis({ url: "redis://127.0.0.1:1", logger: silent });
    const gone = makePriceCache({ redis: nobody, prefix: service.prefix });
    const markCommitted = makeMarkCommitted({ cache: gone, logger: silent });
    await makeWriteProducts({ ...service, markCommitted })([toWrite("seat", product())]);
    expect(await price({ product_id: "seat" })).toMatchObject({ final_price: "10.00" });
    await nobody.close();
  });

  it("is computed once for 200 that miss together, who all get the same bytes", async () => {
    await service.putProduct("seat", product());
    await cache.lookup({ product_id: "seat" });
    opened.settingsRead = 0;
    const bodies = await Promise.all(
      Array.from({ length: 200 }, async () => (await send("/api/v1/price", { product_id: "seat" })).text()),
    );
    expect(new Set(bodies).size).toBe(1);
    expect(opened.settingsRead).toBe(1);
  });

  it("is not computed again for one that missed with the others and comes a moment later", async () => {
    await service.putProduct("seat", product());
    const context = priceRequest.parse({ product_id: "seat" });
    const looked = await cache.lookup(context);
    if (looked.outcome !== "miss") throw new Error("nothing was kept yet");
    opened.settingsRead = 0;
    const first = await getPrice(context, encodeTicket(looked.ticket));
    expect(await getPrice(context, encodeTicket(looked.ticket))).toEqual(first);
    expect(opened.settingsRead).toBe(1);
  });

  it("is answered without Redis", async () => {
    await service.putProduct("seat", product());
    await redis.close();
    expect(await price({ product_id: "seat" })).toMatchObject({ final_price: "10.00", source: "database" });
    expect((await send("/api/v1/prices:batch", { items: [{ product_id: "seat" }] })).status).toBe(200);
  });

  it("ends, and its entry with it, when a list price begins or ends", async () => {
    const from = new Date(Date.now() + 30_000).toISOString();
    await service.putProduct(
      "seat",
      product({ list_prices: [{ currency: "EUR", price: "8.00", valid_from: from, min_quantity: 1, priority: 0 }] }),
    );
    expect(await price({ product_id: "seat" })).toMatchObject({ final_price: "10.00", valid_until: from });
    const [key] = await redis.client
      .keys(`${service.prefix}cache:*seat*`)
      .then((keys) => keys.filter((name) => name.includes("\0")));
    const ttlMs = key === undefined ? -1 : await redis.client.pttl(key);
    expect(ttlMs).toBeGreaterThan(0);
    expect(ttlMs).toBeLessThanOrEqual(30_000);
  });

  it("is refused for an unknown product, and in a currency that it is not sold in", async () => {
    await service.putProduct(
      "seat",
      product({ list_prices: [{ currency: "USD", price: "11.00", min_quantity: 1, priority: 0 }] }),
    );
    const unknown = await send("/api/v1/price", { product_id: "nope" });
    expect([unknown.status, await unknown.json()]).toMatchObject([404, { code: "not_found" }]);
    const yen = await send("/api/v1/price", { product_id: "seat", currency: "JPY" });
    expect([yen.status, await yen.json()]).toMatchObject([422, { code: "currency_not_sold" }]);
    expect(await price({ product_id: "seat", currency: "USD" })).toMatchObject({
      final_price: "11.00",
      base_price: "11.00",
      currency: "USD",
    });
  });

  it.each([
    [{}, "/product_id"],
    [{ product_id: 7 }, "/product_id"],
    [{ product_id: "seat", quantity: 0 }, "/quantity"],
    [{ product_id: "seat", quantity: 1.5 }, "/quantity"],
    [{ product_id: "seat", is_prime_member: "yes" }, "/is_prime_member"],
    [{ product_id: "a\0b" }, "/product_id"],
  ])("of %j is a 400 that names %s", async (body, pointer) => {
    const response = await send("/api/v1/price", body);
    expect([response.status, await response.json()]).toMatchObject([400, { errors: [{ pointer }] }]);
  });
});

describe("gathered misses", () => {
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";

  async function sendBytes(body: string | Buffer): Promise<{ status: number; bytes: Buffer }> {
    const front = makeMissFront({ getPrice, logger: silent });
    const server = createServer((incoming, outgoing) => {
      if (!front(incoming, outgoing)) outgoing.writeHead(404).end();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${missBatchPath}`;
    const response = await fetch(url, { method: "POST", body: new Uint8Array(Buffer.from(body)) });
    const bytes = Buffer.from(await response.arrayBuffer());
    server.closeAllConnections();
    server.close();
    return { status: response.status, bytes };
  }

  async function ask(misses: readonly AskedMiss[]) {
    const { status, bytes } = await sendBytes(encodeMisses(misses));
    expect(status).toBe(200);
    const answers = decodeAnswers(bytes, misses.length);
    if (answers === undefined) throw new Error("not the answers to what was asked");
    return answers.map(({ body, ...answer }) => ({ ...answer, body: JSON.parse(body.toString()) as unknown }));
  }

  it("are answered each as if it had come alone, problems too", async () => {
    await service.setPolicy(members);
    await service.putProduct("seat", product());
    const contexts = [
      { product_id: "seat", is_prime_member: true },
      { product_id: "nope" },
      { product_id: "seat", currency: "JPY" },
      { product_id: 'se"a\n', user_location: "ü" },
      { product_id: "seat" },
    ];
    const answers = await ask(contexts.map((context) => ({ context, traceId })));
    for (const [index, context] of contexts.entries()) {
      const alone = await send("/api/v1/price", context);
      const body = (await alone.json()) as Record<string, unknown>;
      const expected = alone.status === 200 ? { ...body, source: "database" } : { ...body, traceId };
      expect(answers[index]).toEqual({ status: alone.status, retryAfterSeconds: undefined, body: expected });
    }
  });

  it("of one product that saw the same are computed once, and those who saw another state for themselves", async () => {
    await service.putProduct("seat", product());
    const context = { product_id: "seat" };
    const looked = await cache.lookup(context);
    if (looked.outcome !== "miss") throw new Error("nothing was kept yet");
    opened.settingsRead = 0;
    const miss = { context, traceId, ticket: encodeTicket(looked.ticket) };
    const seen = encodeTicket({ ...looked.ticket, marker: "0000000000000001" });
    const answers = await ask([...Array.from({ length: 100 }, () => miss), { ...miss, ticket: seen }]);
    expect(new Set(answers.slice(0, 100).map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(opened.settingsRead).toBe(2);
  });

  it("are kept: later requests get the same decision from the cache", async () => {
    await service.putProduct("seat", product());
    const contexts = Array.from({ length: 100 }, (_, index) => ({ product_id: "seat", quantity: index + 1 }));
    const answers = await ask(contexts.map((context) => ({ context, traceId })));
    for (const [index, context] of contexts.entries()) {
      expect(await price(context)).toEqual({ ...(answers[index]?.body as object), source: "cache" });
    }
  });

  it("are 503 with Retry-After each while Postgres is away", async () => {
    await service.pool.close();
    const answers = await ask([1, 2, 3].map((quantity) => ({ context: { product_id: "seat", quantity }, traceId })));
    for (const { status, retryAfterSeconds, body } of answers) {
      expect([status, retryAfterSeconds, body]).toMatchObject([503, 1, { status: 503, traceId }]);
    }
  });

  const one = { context: { product_id: "seat" }, traceId };
  it.each([
    ["no JSON", "{"],
    ["no list", "{}"],
    ["no trace", '[{"context":{"product_id":"seat"}}]'],
    ["a bad context", JSON.stringify([one, { ...one, context: { product_id: "seat", quantity: 0 } }])],
    ["U+0000", JSON.stringify([{ ...one, context: { product_id: "a\0" } }])],
    ["a lone surrogate", JSON.stringify([{ ...one, context: { product_id: "a\ud800" } }])],
    ["too many", JSON.stringify(Array.from({ length: 129 }, () => one))],
  ])("are refused with %s", async (_, body) => {
    const { status, bytes } = await sendBytes(body);
    expect([status, JSON.parse(bytes.toString())]).toMatchObject([400, { code: "validation_failed" }]);
  });
});

describe("a batch", () => {
  it("answers in order, item by item", async () => {
    await service.setPolicy(members);
    await service.putProduct("seat", product());
    const items = [
      { product_id: "seat", is_prime_member: true },
      { product_id: "nope" },
      { product_id: "seat", currency: "USD" },
      { product_id: "seat" },
    ];
    const response = await send("/api/v1/prices:batch", { items });
    expect(response.status).toBe(200);
    const { results } = priceBatchResponse.parse(await response.json());
    expect(results).toMatchObject([
      { product_id: "seat", final_price: "19.00", source: "database" },
      { product_id: "nope", error: { code: "not_found", status: 404 } },
      { product_id: "seat", error: { code: "currency_not_sold", status: 422 } },
      { product_id: "seat", final_price: "20.00" },
    ]);
    expect((await send("/api/v1/pricesX", { items })).status).toBe(404);
    expect((await send("/api/v1/prices:batch", { items: [], more: 1 })).status).toBe(400);
  });

  it("that showed a newer price leaves no older one in the cache", async () => {
    await service.putProduct("seat", product({ base_price: "10.00" }));
    await price({ product_id: "seat" });
    await service.putProduct("seat", product({ base_price: "12.00" }));
    await send("/api/v1/prices:batch", { items: [{ product_id: "seat" }] });
    expect(await price({ product_id: "seat" })).toMatchObject({ final_price: "12.00", source: "database" });
  });
});

describe("an explanation", () => {
  const steps = [
    { stage: "market", rule: "base_price", reason: "Base price", before: "10.00", after: "10.00" },
    { stage: "market", rule: "double", reason: "Twice", before: "10.00", after: "20.00" },
    { stage: "customer", rule: "prime", reason: "Members pay less", before: "20.00", after: "19.00" },
  ];

  it("tells the steps from the base price to the final one", async () => {
    await service.setPolicy(members);
    await service.putProduct("seat", product());
    const explained = await explain("is_prime_member=true");
    expect(explained).toMatchObject({ final_price: "19.00", policy_version: 1, binding_rule: "prime", steps });
    expect((await explain("")).steps).toEqual(steps.slice(0, 2));
    expect((await explain("")).binding_rule).toBe("double");
  });

  it("of a decision tells what was decided, whatever has changed since", async () => {
    await service.setPolicy(members);
    const listPrice = { currency: "EUR", segment: "b2b", price: "15.00", min_quantity: 1, priority: 0 };
    await service.putProduct("seat", product({ list_prices: [listPrice] }));
    const context = { product_id: "seat", is_prime_member: true };
    const { decision_id: plain } = await price(context);
    const { decision_id: listed } = await price({ ...context, segment: "b2b" });
    await service.setPolicy(policySchema.parse({}));
    await service.putProduct("seat", product({ base_price: "99.00" }));

    expect(await explain(`decision_id=${plain}`)).toMatchObject({ final_price: "19.00", decision_id: plain, steps });
    expect(await explain(`decision_id=${listed}`)).toMatchObject({ final_price: "14.25", policy_version: 1 });
  });

  it("of an entry of the history tells how that market price came about, to its own product alone", async () => {
    await service.setPolicy(members);
    await service.putProduct("seat", product());
    await service.putProduct("other", product());
    const { entries } = historyResponse.parse(await (await send("/api/v1/prices/seat/history")).json());
    const id = entries[0]?.decision_id;
    const market = { final_price: entries[0]?.price, decision_id: id, steps: steps.slice(0, 2) };
    expect(await explain(`decision_id=${id}`)).toMatchObject(market);
    // A plain id fits the schema: that there is no such entry is a matter of what is stored.
    for (const path of [`other/explain?decision_id=${id}`, `nope/explain?decision_id=${id}`]) {
      const response = await send(`/api/v1/prices/${path}`);
      expect([response.status, await response.json()]).toMatchObject([404, { code: "not_found" }]);
    }
    expect((await send(`/api/v1/prices/seat/explain?decision_id=${crypto.randomUUID()}`)).status).toBe(404);
  });

  it.each([
    ["another's signature", () => stranger],
    ["another product", () => signer],
  ])("is refused for a decision with %s", async (which, by) => {
    await service.putProduct("seat", product());
    const { decision_id: own } = await price({ product_id: "seat" });
    const verified = signer.verify(own);
    if (!verified.ok) throw new Error(verified.code);
    const forged = by().sign({ ...verified.decision, productId: which === "another product" ? "other" : "seat" });
    const response = await send(`/api/v1/prices/seat/explain?decision_id=${forged}`);
    expect([response.status, await response.json()]).toMatchObject([400, { errors: [{ pointer: "?decision_id" }] }]);
  });

  it("is refused with context beside a decision, and for an unknown product", async () => {
    expect((await send("/api/v1/prices/seat/explain?decision_id=x&quantity=2")).status).toBe(400);
    expect((await send("/api/v1/prices/nope/explain")).status).toBe(404);
  });
});

describe("the history", () => {
  const read = async (query = "") => {
    const response = await send(`/api/v1/prices/seat/history${query}`);
    expect(response.status).toBe(200);
    return historyResponse.parse(await response.json());
  };

  it("lists market prices, oldest first, with the lowest", async () => {
    for (const base_price of ["10.00", "8.00", "12.00"]) await service.putProduct("seat", product({ base_price }));
    const { entries, lowest_30d } = await read();
    expect(entries.map((entry) => entry.price)).toEqual(["10.00", "8.00", "12.00"]);
    expect(lowest_30d).toBe("8.00");
  });

  it("counts the price in force when the window opened, and nothing after it closed", async () => {
    for (const base_price of ["8.00", "10.00", "12.00"]) await service.putProduct("seat", product({ base_price }));
    const { entries } = await read();
    const [first, second, third] = entries.map((entry) => Date.parse(entry.decided_at));
    if (first === undefined || second === undefined || third === undefined) throw new Error("three are expected");
    const at = (ms: number) => encodeURIComponent(new Date(ms).toISOString());
    expect((await read(`?from=${at(third + 1)}`)).entries.map((entry) => entry.price)).toEqual(["12.00"]);
    expect((await read(`?from=${at(third + 1)}`)).lowest_30d).toBe("12.00");
    expect(await read(`?from=${at(first)}&to=${at(first - 1 + 1)}`)).toMatchObject({ lowest_30d: "8.00" });
    expect(await read(`?from=${at(second)}`)).toMatchObject({ lowest_30d: "10.00" });
    expect((await read(`?from=${at(second)}&to=${at(second)}`)).entries.map((entry) => entry.price)).toEqual(["10.00"]);
    expect((await read(`?from=${at(second - 1)}`)).lowest_30d).toBe("8.00");
    expect((await read(`?to=${at(first - 1)}`)).entries).toEqual([]);
    expect((await read(`?to=${at(first - 1)}`)).lowest_30d).toBeNull();
    expect((await send(`/api/v1/prices/seat/history?from=${at(second)}&to=${at(first - 1)}`)).status).toBe(400);
  });

  it("is not that of a former life, and 404 for an unknown product", async () => {
    await service.putProduct("seat", product({ base_price: "1.00" }));
    await service.deleteProduct("seat");
    expect((await send("/api/v1/prices/seat/history")).status).toBe(404);
    await service.putProduct("seat", product({ base_price: "9.00" }));
    expect(await read()).toMatchObject({ entries: [{ price: "9.00" }], lowest_30d: "9.00" });
  });
});
