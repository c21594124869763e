import { makePool, type Pool } from "@pricing-engine/postgres";
import type { TestDatabase } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeReconcilePorts } from "../src/adapters/reconcile-ports.ts";
import { makePaymentDatabase, silent } from "./support/database.ts";

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await makePaymentDatabase();
  pool = makePool({ url: database.url, max: 2, applicationName: "payment-test", logger: silent });
});
afterAll(async () => {
  await pool.close();
  await database.drop();
});

const nobody = () => Promise.reject(new Error("no processor is asked"));
const nowMs = Date.now();
const minuteMs = 60_000;

type Row = {
  state: string;
  processor?: "default" | "fallback";
  /** Minutes from now. */
  accepted: number;
  requested?: number;
  deadline?: number;
  attempts?: number;
};

const rows: Record<string, Row> = {
  near: { state: "settled", processor: "fallback", accepted: -10, requested: -10 },
  nearest: { state: "settled", processor: "fallback", accepted: -11, requested: -11 },
  here: { state: "settled", processor: "default", accepted: -60, requested: -11 },
  slow: { state: "settled", processor: "fallback", accepted: -60, requested: -1 },
  "slow, before": { state: "settled", processor: "fallback", accepted: -60, requested: -20 },
  pinned: { state: "unknown", processor: "fallback", accepted: -61, requested: -5 },
  "pinned here": { state: "unknown", processor: "default", accepted: -61, requested: -5 },
  "pinned after": { state: "unknown", processor: "fallback", accepted: -5, requested: -5 },
  waiting: { state: "waiting", accepted: -62 },
  cancelled: { state: "cancelled", accepted: -63 },
  "never sent": { state: "cancelled", accepted: -9, attempts: 0 },
  expired: { state: "expired", accepted: -64, deadline: -10 },
  "expired before": { state: "expired", accepted: -64, deadline: -20 },
  "expired after": { state: "expired", accepted: -5, deadline: -4 },
};

describe("the rows that may be behind what a processor has more", () => {
  it("are those near the window, and those that were on their way in it", async () => {
    const names = new Map<string, string>();
    const toMs = (minutes: number | undefined) => (minutes === undefined ? null : nowMs + minutes * minuteMs);
    for (const [name, { state, processor = null, accepted, requested, deadline, attempts = 1 }] of Object.entries(
      rows,
    )) {
      const id = crypto.randomUUID();
      names.set(id, name);
      await pool.sql`
        insert into payment.payment_keys (correlation_id, source, created_at, amount_minor)
        values (${id}, 'order', ${new Date(nowMs)}, 100)`;
      await pool.sql`
        insert into payment.payments (correlation_id, source, created_at, topic_partition, amount_minor, accepted_at_ms, state,
          processor, requested_at_ms, deadline_ms, attempts, version)
        values (${id}, 'order', ${new Date(nowMs)}, 0, 100, ${toMs(accepted)}, ${state},
          ${processor}, ${toMs(requested)}, ${toMs(deadline)}, ${attempts}, 1)`;
    }
    const ports = makeReconcilePorts({
      pool,
      processors: { find: nobody, summary: nobody },
      onSearchFailed: () => undefined,
    });
    const toNames = (list: { id: string }[]) => list.map(({ id }) => names.get(id));
    const at = (minutes: number, halfMinutes: number) => ({
      fromMs: nowMs + (minutes - halfMinutes) * minuteMs,
      toMs: nowMs + (minutes + halfMinutes) * minuteMs,
    });
    const near = await ports.listElsewhere("default", at(-11, 2), 10);
    expect(toNames(near)).toEqual(["nearest", "near"]);
    expect(toNames(await ports.listElsewhere("default", at(-11, 2), 1))).toEqual(["nearest"]);
    expect(toNames(await ports.listElsewhere("fallback", at(-11, 2), 10))).toEqual(["here"]);

    const underWay = ["slow", "pinned", "waiting", "cancelled", "expired", "never sent"];
    // Of two windows each row once.
    const windows = [at(-9, 1), at(-8, 0.1)];
    expect(toNames(await ports.listUnderWay("default", windows, 10))).toEqual(underWay);
    expect(toNames(await ports.listUnderWay("default", windows, 2))).toEqual(underWay.slice(0, 2));
    expect(toNames(await ports.listUnderWay("fallback", [at(-9, 1)], 10))).toEqual([
      "pinned here",
      ...underWay.slice(2),
    ]);
    const [slow] = near;
    expect(slow && (await ports.read(slow))).toEqual(slow);
    expect(
      await ports.read({ id: crypto.randomUUID(), source: "order", state: "waiting", processor: null }),
    ).toBeUndefined();
  });

  it("are asked for with any window", async () => {
    const ports = makeReconcilePorts({
      pool,
      processors: { find: nobody, summary: nobody },
      onSearchFailed: () => undefined,
    });
    const ever = { fromMs: Date.parse("0000-01-01T00:00:00Z"), toMs: Date.parse("9999-12-31T23:59:59Z") };
    expect((await ports.listUnderWay("default", [ever], 100)).length).toBeGreaterThan(0);
  });
});
