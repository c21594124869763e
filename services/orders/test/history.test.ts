import { makePool, query } from "@pricing-engine/postgres";
import { expect, it } from "vitest";
import { pruneHistory } from "../src/adapters/history.ts";
import { makeEngineDatabase, silent } from "./support/database.ts";

it("forgets what belongs to orders of months that are gone, in bites, and nothing else", async () => {
  await using database = await makeEngineDatabase();
  const pool = makePool({ url: database.url, max: 2, applicationName: "orders-test", logger: silent });
  try {
    const prune = (limit: number) => query(pool, 5_000, (on) => pruneHistory(on, limit));
    const left = async () => {
      const [row] = await pool.sql`
        select (select array_agg(order_id order by order_id) from orders.order_keys) as keys,
          (select array_agg(order_id order by order_id) from orders.reservations) as reservations,
          (select array_agg(order_id order by order_id) from orders.receipts) as receipts`;
      return { ...row };
    };
    const ids = ["ord_1", "ord_2", "ord_3", "ord_4"];
    await pool.sql`insert into orders.order_keys select id, now() from unnest(${ids}::text[]) as u (id)`;
    await pool.sql`insert into orders.reservations select id, 'p', 1, 'sold' from unnest(${ids}::text[]) as u (id)`;
    await pool.sql`insert into orders.receipts select id, '', '' from unnest(${ids}::text[]) as u (id)`;
    // Without any order nothing says which months are gone.
    expect(await prune(10)).toBe(0);
    await pool.sql`
      insert into orders.orders (order_id, created_at, tenant_id, customer_id, idempotency_key, currency, total_minor, amount_minor,
        payment_id, status, traceparent, updated_at)
      values ('ord_4', now(), 't', 'c', 'k', 'EUR', 1, 1, gen_random_uuid(), 'placed', '', now())`;
    expect(await prune(2)).toBe(6);
    expect(await prune(2)).toBe(3);
    expect(await prune(2)).toBe(0);
    expect(await left()).toEqual({ keys: ["ord_4"], reservations: ["ord_4"], receipts: ["ord_4"] });
  } finally {
    await pool.close();
  }
});
