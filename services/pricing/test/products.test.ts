import { AppError } from "@pricing-engine/chassis/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  doubled,
  makeTestService,
  monthDdl,
  product,
  readOutbox,
  readPrice,
  type TestService,
} from "./support/service.ts";

let service: TestService;

beforeEach(async () => {
  service = await makeTestService();
});

afterEach(() => service.close());

const history = async (productId: string) => {
  const rows = await service.pool.sql<{ sequence: number; price: number }[]>`
    select sequence::int as sequence, price_minor::int as price from pricing.price_history
    where product_id = ${productId} order by decided_at, sequence`;
  return rows.map(({ sequence, price }) => [sequence, price]);
};

describe("a write", () => {
  it("publishes the market price with the product, in one transaction", async () => {
    const written = await service.putProduct("seat", product({ cost: "4.00", stock: 3 }));

    expect(written).toMatchObject({ kind: "created", product: { base_price: "10.00", cost: "4.00", stock: 3 } });
    expect(await readPrice(service.pool, "seat")).toMatchObject({ sequence: 1, facts_revision: 1, price_minor: 1000 });
    expect(await history("seat")).toEqual([[1, 1000]]);
    expect((await readOutbox(service.pool, "price-markers")).map(({ payload }) => payload)).toEqual(['[["seat",1]]']);
    const [change] = await readOutbox(service.pool, "price-changes");
    expect(JSON.parse(change?.payload ?? "")).toMatchObject([{ productId: "seat", price: "10.00", sequence: 1 }]);
  });

  it("that says nothing new publishes nothing", async () => {
    await service.putProduct("seat", product());
    await service.putProduct("seat", product());

    expect(await readPrice(service.pool, "seat")).toMatchObject({ sequence: 1, facts_revision: 1 });
    expect(await readOutbox(service.pool, "price-markers")).toHaveLength(1);
  });

  it("that leaves the price as it is still moves the sequence: quotes read more than the price", async () => {
    await service.putProduct("seat", product());
    const listPrice = { segment: "b2b", currency: "EUR", min_quantity: 5, price: "8.00", priority: 0 };
    const { kind } = await service.putProduct("seat", product({ list_prices: [listPrice] }));

    expect(kind).toBe("replaced");
    expect(await readPrice(service.pool, "seat")).toMatchObject({ sequence: 2, price_minor: 1000 });
    expect(await service.getProduct("seat")).toMatchObject({ list_prices: [{ ...listPrice, valid_from: null }] });
  });

  it("keeps every time, amount and attribute as it came", async () => {
    const input = product({
      list_prices: [
        {
          segment: null,
          currency: "JPY",
          min_quantity: 1,
          valid_from: "2026-01-31T22:59:59.123Z",
          valid_to: "9999-12-31T23:59:59.999Z",
          price: "1234567890",
          priority: -3,
        },
      ],
      attributes: { "a.b": [1, { deep: null }], "ü'\"\\": "☃ 𝄞" },
    });
    await service.putProduct("a/b ☃", input);

    expect(await service.getProduct("a/b ☃")).toMatchObject({
      list_prices: input.list_prices,
      attributes: input.attributes,
    });
  });

  it("for whose month there is no partition waits and is not half done", async () => {
    await service.putProduct("other", product());
    const month = new Date().toISOString().slice(0, 7).replace("-", "_");
    await service.pool.sql.unsafe(`alter table pricing.price_history detach partition pricing.price_history_${month}`);

    const failure = await service.putProduct("seat", product()).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(AppError);
    expect(failure).toMatchObject({ code: "unavailable" });
    expect(await service.getProduct("seat")).toBeUndefined();

    await service.pool.sql.unsafe(`drop table pricing.price_history_${month}`);
    await service.pool.sql.unsafe(monthDdl(0));
    await service.putProduct("seat", product());
    expect(await readPrice(service.pool, "seat")).toMatchObject({ sequence: 1 });
  });
});

describe("a product that is deleted and made again", () => {
  it("keeps counting its revision and its sequence, and tells readers of its end", async () => {
    await service.putProduct("seat", product());
    expect(await service.deleteProduct("seat")).toBe(true);
    expect(await service.deleteProduct("seat")).toBe(false);
    expect(await service.getProduct("seat")).toBeUndefined();
    expect(await readPrice(service.pool, "seat")).toMatchObject({ sequence: 2, facts_revision: 2, price_minor: null });

    const again = await service.putProduct("seat", product({ base_price: "7.00" }));
    expect(again.kind).toBe("created");
    expect(await readPrice(service.pool, "seat")).toMatchObject({ sequence: 3, facts_revision: 3, price_minor: 700 });
    const changes = (await readOutbox(service.pool, "price-changes")).flatMap(({ payload }) => JSON.parse(payload));
    expect(changes.map(({ sequence, price }) => [sequence, price])).toEqual([
      [1, "10.00"],
      [2, null],
      [3, "7.00"],
    ]);
  });

  it("takes over neither signals nor the price of its first life", async () => {
    await service.putProduct("seat", product());
    const observedAt = new Date().toISOString();
    const data = { kind: "cost", productId: "seat", cost: "50.00", observedAt } as const;
    await service.applyMarketEvent({ id: "e1", data });
    expect(await readPrice(service.pool, "seat")).toMatchObject({ price_minor: 5000 });
    await service.deleteProduct("seat");
    await service.putProduct("seat", product());

    expect(await readPrice(service.pool, "seat")).toMatchObject({ price_minor: 1000 });
    expect(await service.applyMarketEvent({ id: "e1", data: { ...data, cost: "60.00" } })).toEqual({
      kind: "repeated",
    });
    expect(await service.applyMarketEvent({ id: "e0", data })).toMatchObject({ kind: "skipped" });
    expect(await readPrice(service.pool, "seat")).toMatchObject({ price_minor: 1000 });
  });
});

it("writers of one product all get their turn, and each leaves one sequence behind", async () => {
  await service.setPolicy(doubled);
  const prices = Array.from({ length: 20 }, (_, index) => `${index + 1}.00`);
  const results = await Promise.all(prices.map((base_price) => service.putProduct("seat", product({ base_price }))));

  expect(results.filter(({ kind }) => kind === "created")).toHaveLength(1);
  const price = await readPrice(service.pool, "seat");
  expect(price).toMatchObject({ sequence: 20, facts_revision: 20 });
  const last = await service.getProduct("seat");
  expect(price.price_minor).toBe(Number(last?.base_price) * 200);
  expect((await history("seat")).map(([sequence]) => sequence)).toEqual(prices.map((_, index) => index + 1));
});

it("batches that name the same products in any order do not deadlock", async () => {
  const ids = Array.from({ length: 50 }, (_, index) => `seat-${index}`);
  const write = (order: string[], price: number) =>
    service.writeProducts(
      order.map((productId) => ({
        productId,
        name: "A seat",
        basePriceMinor: price,
        costMinor: undefined,
        currency: "EUR",
        stock: undefined,
        attributes: {},
        listPrices: [],
        contentHash: `${price}`,
      })),
    );
  await Promise.all(Array.from({ length: 8 }, (_, round) => write(round % 2 ? ids : ids.toReversed(), 100 + round)));

  const sequences = await service.pool.sql<{ sequence: number }[]>`
    select distinct sequence::int as sequence from pricing.prices`;
  expect(sequences.map(({ sequence }) => sequence)).toEqual([8]);
});

it("the list has every product once, page by page, in the order of ids", async () => {
  const ids = ["A", "Z", "a", "seat-1", "seat-10", "seat-2", "ü"];
  for (const id of ids.toReversed()) await service.putProduct(id, product());
  await service.deleteProduct("Z");

  const seen: string[] = [];
  let afterId: string | undefined;
  do {
    const page = await service.listProducts({ afterId, limit: 2 });
    seen.push(...page.products.map(({ product_id }) => product_id));
    afterId = page.next_cursor === null ? undefined : Buffer.from(page.next_cursor, "base64url").toString();
  } while (afterId !== undefined);
  expect(seen).toEqual(ids.filter((id) => id !== "Z"));
});
