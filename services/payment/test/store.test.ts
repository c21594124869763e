import { keyedPlans, makePool, type Pool } from "@pricing-engine/postgres";
import { makeTestPrefix, type TestDatabase } from "@pricing-engine/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { makeControlStore } from "../src/adapters/control-store.ts";
import { purgePayments, readSummary } from "../src/adapters/payment-reader.ts";
import { makePaymentStore } from "../src/adapters/payment-store.ts";
import { type Change, firstIntent } from "../src/domain/payment.ts";
import { describePaymentStore } from "../src/usecases/store-contract.ts";
import { makePaymentDatabase, silent } from "./support/database.ts";

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await makePaymentDatabase();
  pool = makePool({ url: keyedPlans(database.url), max: 8, applicationName: "payment-test", logger: silent });
});
afterAll(async () => {
  await pool.close();
  await database.drop();
});
beforeEach(async () => {
  await purgePayments(pool);
  await pool.sql`truncate payment.partition_owners`;
});

function openStore() {
  const prefix = makeTestPrefix();
  return { ...makePaymentStore({ pool, prefix, owner: "test" }), ...makeControlStore({ pool, prefix }) };
}

describe("the real store", () => {
  describePaymentStore(async () => ({ store: openStore(), nowMs: Date.now() }));

  it("notes the amount of a client's payment under the id of an order's charge", async () => {
    const store = openStore();
    const [fence] = await store.claim([1], "a");
    if (fence === undefined) throw new Error("not claimed");
    const nowMs = Date.now();
    const id = crypto.randomUUID();
    const intentOf = (source: "api" | "order", amountMinor: number) => ({
      change: firstIntent(
        {
          source,
          id,
          createdAtMs: nowMs,
          partition: 1,
          amountMinor,
          orderId: null,
          deadlineMs: null,
          acceptedAtMs: nowMs,
        },
        "default",
        nowMs,
      ),
      fence,
    });
    expect(await store.insert([intentOf("order", 2000)])).toEqual(["inserted"]);
    expect(await store.insert([intentOf("api", 1)])).toEqual(["known"]);
    const keys = await pool.sql`
      select source, conflict_amount_minor::int as conflict from payment.payment_keys where correlation_id = ${id}`;
    expect(keys.map((key) => ({ ...key }))).toEqual([{ source: "order", conflict: 1 }]);
  });

  it("writes what is asked for at once in few batches, and sums it up to the millisecond", async () => {
    const store = openStore();
    const [fence] = await store.claim([1], "a");
    if (fence === undefined) throw new Error("not claimed");
    // From shortly before an hour ends to shortly after.
    const startMs = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 700;
    const charges = Array.from({ length: 700 }, (_value, index) => {
      const nowMs = startMs + index * 2;
      const charge = {
        source: "api",
        id: crypto.randomUUID(),
        createdAtMs: Date.now(),
        partition: 1,
        amountMinor: 1 + index,
        orderId: null,
        deadlineMs: null,
        acceptedAtMs: nowMs,
      } as const;
      return firstIntent(charge, index % 3 === 0 ? "fallback" : "default", nowMs);
    });
    const inserted = await store.insert(charges.map((change) => ({ change, fence })));
    expect(new Set(inserted)).toEqual(new Set(["inserted"]));
    await Promise.all(
      charges.map(({ after }) =>
        store.apply([
          { before: after, change: { after: { ...after, state: "settled", version: 2 }, events: [] }, fence },
        ]),
      ),
    );
    const expected = (fromMs: number, toMs: number, processor: string) => {
      const inside = charges.filter(({ after }) => {
        const atMs = after.requestedAtMs ?? 0;
        return after.processor === processor && atMs >= fromMs && atMs <= toMs;
      });
      const amountMinor = inside.reduce((sum, { after }) => sum + after.amountMinor, 0);
      return { totalRequests: inside.length, totalAmount: amountMinor / 100 };
    };
    const windows = [
      [startMs, startMs + 1398],
      [startMs + 1, startMs + 1397],
      [startMs + 700, startMs + 700],
      [startMs + 699, startMs + 1500],
      [startMs + 5000, startMs + 6000],
      [startMs + 10, startMs],
    ] as const;
    for (const [fromMs, toMs] of windows) {
      expect(await readSummary(pool, fromMs, toMs)).toEqual({
        default: expected(fromMs, toMs, "default"),
        fallback: expected(fromMs, toMs, "fallback"),
      });
    }
    expect((await readSummary(pool, undefined, undefined)).default.totalRequests).toBe(466);
  });

  it("keeps the outcomes of clients' payments 20 ms apart", async () => {
    const store = openStore();
    const [fence] = await store.claim([1], "a");
    if (fence === undefined) throw new Error("not claimed");
    const nowMs = Date.now();
    const intents = [1, 2].map((amountMinor) => {
      const times = { createdAtMs: nowMs, acceptedAtMs: nowMs, deadlineMs: null };
      const charge = {
        source: "api",
        id: crypto.randomUUID(),
        partition: 1,
        amountMinor,
        orderId: null,
        ...times,
      } as const;
      return { change: firstIntent(charge, "default", nowMs), fence };
    });
    expect(await store.insert(intents)).toEqual(["inserted", "inserted"]);
    const startedMs = performance.now();
    for (const { change } of intents) {
      const settled: Change = { after: { ...change.after, state: "settled", version: 2 }, events: [] };
      expect(await store.apply([{ before: change.after, change: settled, fence }])).toEqual(["applied"]);
    }
    expect(performance.now() - startedMs).toBeGreaterThan(19);
  });

  it("forgets all while others read and write, and nobody is made to fail", async () => {
    const store = openStore();
    const [fence] = await store.claim([1], "a");
    if (fence === undefined) throw new Error("not claimed");
    const pay = async (): Promise<void> => {
      const nowMs = Date.now();
      const charge = {
        source: "api",
        id: crypto.randomUUID(),
        createdAtMs: nowMs,
        partition: 1,
        amountMinor: 1,
        orderId: null,
        deadlineMs: null,
        acceptedAtMs: nowMs,
      } as const;
      const change = firstIntent(charge, "default", nowMs);
      await store.insert([{ change, fence }]);
      await store.apply([
        {
          before: change.after,
          change: { after: { ...change.after, state: "settled", version: 2 }, events: [] },
          fence,
        },
      ]);
      await store.find(change.after);
    };
    const stop = new AbortController();
    const repeat = async (act: () => Promise<unknown>): Promise<void> => {
      while (!stop.signal.aborted) await act();
    };
    const now = Date.now();
    const running = Promise.all([
      ...Array.from({ length: 3 }, () => repeat(pay)),
      ...Array.from({ length: 3 }, () => repeat(() => readSummary(pool, now - 12_345, now + 60_000))),
    ]);
    try {
      for (let count = 0; count < 30; count += 1) await Promise.race([purgePayments(pool), running]);
    } finally {
      stop.abort();
    }
    await running;
  });
});
