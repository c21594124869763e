import type { CatalogEventData, CatalogZone } from "@pricing-engine/contracts";
import { makePool, type Pool } from "@pricing-engine/postgres";
import type { TestDatabase } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digest } from "../src/adapters/digest.ts";
import { productPayload } from "../src/adapters/outbox-rows.ts";
import { productIdsOf } from "../src/domain/identity.ts";
import { makeApplyCatalogEvents } from "../src/usecases/apply-catalog-events.ts";
import { makeIngestDatabase, silent } from "./support/engine.ts";

const id = "00000000-0000-8000-8000-000000000001";
const zone = (name: string, capacity: number): CatalogZone => {
  return { zoneId: name, name, numbered: false, capacity, priceHundredths: 1000 };
};

describe("what pricing hears of a plan's products", () => {
  let database: TestDatabase;
  let pool: Pool;
  beforeAll(async () => {
    database = await makeIngestDatabase();
    pool = makePool({ url: database.url, max: 2, applicationName: "test", logger: silent });
  });
  afterAll(async () => {
    await pool?.close();
    await database?.drop();
  });

  let sequence = 0;
  /** Of the next poll: what it told, by the names of zones. */
  async function poll(products: boolean, ...zones: CatalogZone[]) {
    sequence += 1;
    const startsAtMs = Date.UTC(2033, 0, 1);
    const plan = {
      basePlanId: "1",
      planId: "1",
      title: "Plan",
      online: true,
      soldOut: false,
      start: "2033-01-01T00:00:00",
      end: "2033-01-01T00:00:00",
      startsAtMs,
      endsAtMs: startsAtMs,
      zones,
    };
    const contentHash = digest(String(sequence));
    const event: CatalogEventData = {
      ...{ kind: "plan", id, source: "test", sequence, contentHash, products, plan },
      observedAt: new Date().toISOString(),
    };
    await makeApplyCatalogEvents({ pool, digest, currency: () => "EUR" })([event]);
    const rows = await pool.sql<
      { payload: string }[]
    >`delete from ingest.outbox where sink = 'products' returning payload`;
    const told = rows.map(({ payload }) => productPayload.parse(JSON.parse(payload)));
    return {
      writes: told.flatMap(({ writes }) => writes).length,
      stocks: Object.fromEntries(
        told.flatMap(({ stocks }) => stocks.map((each) => [nameOf(each.productId), each.stock])),
      ),
    };
  }

  const nameOf = (productId: string): string | undefined =>
    ["a", "b", "c", "d"].find((name) => productIdsOf(digest, id, [zone(name, 0)])[0] === productId);

  it("is what changed while they were left alone, as soon as they are not", async () => {
    // Whoever makes a product knows its stock.
    expect(await poll(true, zone("a", 9), zone("b", 5), zone("c", 7))).toEqual({ writes: 3, stocks: {} });
    expect(await poll(false, zone("a", 9), zone("b", 5), zone("c", 7))).toEqual({ writes: 0, stocks: {} });
    expect(await poll(false, zone("a", 4), zone("c", 8), zone("d", 3))).toEqual({ writes: 0, stocks: {} });
    expect(await poll(false, zone("a", 3), zone("c", 7), zone("d", 2))).toEqual({ writes: 0, stocks: {} });
    expect(await poll(true, zone("a", 3), zone("c", 7), zone("d", 2))).toEqual({ writes: 3, stocks: { a: 3, b: 0 } });
    expect(await poll(true, zone("a", 3), zone("c", 7), zone("d", 1))).toEqual({ writes: 1, stocks: { d: 1 } });
  });

  it("is also that a zone is back which had nothing left, however often it goes", async () => {
    for (let round = 0; round < 2; round += 1) {
      expect(await poll(true, zone("a", 3))).toMatchObject({ stocks: { c: 0, d: 0 } });
      expect(await poll(true, zone("a", 2))).toEqual({ writes: 1, stocks: { a: 2 } });
      expect(await poll(false, zone("a", 2))).toEqual({ writes: 0, stocks: {} });
      expect(await poll(true, zone("a", 3), zone("c", 7), zone("d", 1))).toEqual({
        writes: 3,
        stocks: { a: 3, c: 7, d: 1 },
      });
    }
  });
});
