import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import {
  appendOutbox,
  listParked,
  makeOutboxRelay,
  makePool,
  type OutboxRow,
  type Pool,
  releaseParked,
  withTransaction,
} from "@pricing-engine/postgres";
import { eventually, startTcpProxy, type TestDatabase } from "@pricing-engine/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeOutboxPort } from "../src/outbox/contract.ts";
import { makePostgresPort } from "../src/outbox/postgres-port.ts";
import { makeGate, makeShopDatabase, makeTestPool, silent } from "./setup.ts";

let database: TestDatabase;
let pool: Pool;
/** What a test opened, closed last in, first out, before the database is dropped. */
let closers: (() => unknown)[];

beforeEach(async () => {
  closers = [];
  database = await makeShopDatabase();
  pool = makeTestPool(database.url, 12);
});

afterEach(async () => {
  for (const close of closers.toReversed()) {
    await close();
  }
  await pool.close();
  await database.drop();
});

const schema = "shop";
const row = (aggregate: string, payload: string, sink = "kafka"): OutboxRow => ({
  aggregate,
  sink,
  topic: "prices",
  key: aggregate,
  payload,
});

const append = (...rows: OutboxRow[]) =>
  withTransaction(pool, (tx) => appendOutbox(tx, { schema }, rows), { deadlineMs: 10_000 });

type RelaySettings = Omit<Parameters<typeof makeOutboxRelay>[0], "pool" | "schema" | "logger">;

function startRelay(settings: RelaySettings, on: Pool = pool) {
  const relay = makeOutboxRelay({ pool: on, schema, logger: silent, ...settings });
  relay.start();
  closers.push(() => relay.stop());
  return relay;
}

const depth = async (): Promise<number> => {
  const [found] = await pool.sql<{ n: number }[]>`select count(*)::int as n from shop.outbox`;
  return found?.n ?? -1;
};

describe.each([8, 16])("the store in Postgres, %i buckets a claim", (maxBuckets) => {
  describeOutboxPort(async () => ({
    port: makePostgresPort({ pool, schema, claimTimeoutMs: 10_000, maxFaults: 2, faultBackoffMs: 0, maxBuckets }),
    async append(rows) {
      const ready = makeGate();
      const decided = makeGate();
      let commits = true;
      const transaction = withTransaction(
        pool,
        async (tx) => {
          await appendOutbox(tx, { schema }, rows);
          ready.open();
          await decided.opened;
          if (!commits) {
            throw new RangeError("rolled back");
          }
        },
        { deadlineMs: 10_000 },
      );
      await Promise.race([ready.opened, transaction]);
      return {
        async commit() {
          decided.open();
          await transaction;
        },
        async rollBack() {
          commits = false;
          decided.open();
          await transaction.catch(() => undefined);
        },
      };
    },
    parkedIds: async () => (await listParked(pool, schema)).map(({ id }) => BigInt(id)),
  }));
});

describe("appendOutbox", () => {
  it("takes anything that text can hold, and keeps headers", async () => {
    const payload = JSON.stringify({ text: 'quotes " \\ {braces}, NULL \u2028 žluť 💥 \\u0000' });
    const seen: unknown[] = [];
    startRelay({
      sinks: {
        kafka: async (rows) => {
          seen.push(...rows);
        },
      },
    });
    await append({ ...row("a", payload), key: null, headers: { traceparent: '00-a"b' } }, row("{NULL}", "null"));
    await eventually(() => expect(seen).toHaveLength(2));
    expect(seen).toContainEqual(expect.objectContaining({ payload, key: null, headers: { traceparent: '00-a"b' } }));
    expect(seen).toContainEqual(expect.objectContaining({ aggregate: "{NULL}", payload: "null", key: "{NULL}" }));
  });
});

describe("relays", () => {
  it("are woken at once", async () => {
    const seen: string[] = [];
    startRelay({
      pollMs: 60_000,
      sinks: {
        kafka: async (rows) => {
          seen.push(...rows.map(({ payload }) => payload));
        },
      },
    });
    for (let n = 0; n < 3; n += 1) {
      await append(row("a", `${n}`));
      await eventually(() => expect(seen).toHaveLength(n + 1), { timeoutMs: 2000 });
    }
  });

  it("gather the rows of many commits when told to, and take the first at once", async () => {
    const batches: { atMs: number; size: number }[] = [];
    const port = makePostgresPort({
      pool,
      schema,
      claimTimeoutMs: 10_000,
      maxFaults: 2,
      faultBackoffMs: 0,
      maxBuckets: 16,
    });
    startRelay({
      pollMs: 60_000,
      gatherMs: 1_000,
      port: {
        ...port,
        async claim(name, limit, deliver) {
          // When it begins: what comes of it may be late by any time.
          const atMs = performance.now();
          return await port.claim(name, limit, (rows) => {
            if (rows.length > 0) batches.push({ atMs, size: rows.length });
            return deliver(rows);
          });
        },
      },
      sinks: { kafka: async () => undefined },
    });
    await append(row("a", "first"));
    await eventually(() => expect(batches).toHaveLength(1), { timeoutMs: 2000 });
    for (let n = 0; n < 10; n += 1) await append(row("a", `${n}`));
    await eventually(async () => expect(await depth()).toBe(0), { timeoutMs: 5000 });
    expect(batches.reduce((sum, { size }) => sum + size, 0)).toBe(11);
    const gaps = batches.slice(1).map(({ atMs }, index) => atMs - (batches[index]?.atMs ?? 0));
    // A timer may count a millisecond less.
    expect(Math.min(...gaps)).toBeGreaterThan(990);
  });

  it("stand by while another holds all there is and is not late, whoever wakes them", async () => {
    const claimsMs: number[] = [];
    let looks = 0;
    startRelay({
      pollMs: 60_000,
      port: {
        async claim() {
          claimsMs.push(performance.now());
          return { claimed: 0, more: false, held: true };
        },
        async isLate() {
          looks += 1;
          return looks % 2 === 0;
        },
      },
      sinks: { kafka: async () => undefined },
    });
    for (let n = 0; claimsMs.length < 3; n += 1) await append(row("a", `${n}`));
    const gaps = claimsMs.slice(1).map((atMs, index) => atMs - (claimsMs[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThan(900);
  });

  it("are woken again after their connection was terminated", async () => {
    const seen: string[] = [];
    startRelay({
      pollMs: 60_000,
      sinks: {
        kafka: async (rows) => {
          seen.push(...rows.map(({ payload }) => payload));
        },
      },
    });
    const findListeners = () => pool.sql<{ pid: number }[]>`
      select pid from pg_stat_activity where datname = current_database() and query like 'listen%'`;
    await eventually(async () => expect(await findListeners()).toHaveLength(1));
    const [before] = await findListeners();
    await pool.sql`select pg_terminate_backend(${before?.pid ?? 0})`;
    await eventually(async () => {
      const [after] = await findListeners();
      expect(after?.pid).not.toBe(before?.pid);
      expect(after).toBeDefined();
    });
    for (let n = 0; n < 2; n += 1) {
      await append(row("a", `${n}`));
      await eventually(() => expect(seen).toHaveLength(n + 1), { timeoutMs: 2000 });
    }
  });

  it("poll when the wake-up is lost", async () => {
    const seen: string[] = [];
    startRelay({
      pollMs: 100,
      sinks: {
        kafka: async (rows) => {
          seen.push(...rows.map(({ payload }) => payload));
        },
      },
    });
    await pool.sql`
      insert into shop.outbox (bucket, sink, aggregate, topic, payload) values (1, 'kafka', 'a', 't', 'unannounced')`;
    await eventually(() => expect(seen).toEqual(["unannounced"]), { timeoutMs: 3000 });
  });

  it("carry 30,000 rows of concurrent writers, three relays at once, in order per aggregate, each row once", async () => {
    const seen = new Map<string, number[]>();
    const sink = async (rows: readonly { aggregate: string; payload: string }[]): Promise<void> => {
      for (const each of rows) {
        const payloads = seen.get(each.aggregate) ?? [];
        payloads.push(Number(each.payload));
        seen.set(each.aggregate, payloads);
      }
    };
    for (let n = 0; n < 3; n += 1) {
      startRelay({ batchSize: 300, sinks: { kafka: sink } });
    }
    // Each transaction reads and raises a counter after its append, so the counter tells the commit order.
    const aggregates = Array.from({ length: 60 }, (_, n) => `product ${n}`);
    await pool.sql`insert into shop.counters select unnest(${aggregates}::text[]), 0`;
    const write = async (from: number): Promise<void> => {
      for (let round = 0; round < 100; round += 1) {
        const chosen = aggregates.slice(from, from + 30).toSorted();
        await withTransaction(
          pool,
          async (tx) => {
            const raised = await tx.sql<{ id: string; value: number }[]>`
              with locked as (select id from shop.counters where id = any(${chosen}::text[]) order by id for update)
              update shop.counters c set value = value + 1 from locked where c.id = locked.id returning c.id, c.value`;
            await appendOutbox(
              tx,
              { schema },
              raised.flatMap(({ id, value }) => [row(id, `${value * 2}`), row(id, `${value * 2 + 1}`)]),
            );
          },
          { deadlineMs: 20_000 },
        );
      }
    };
    await Promise.all([write(0), write(10), write(20), write(25), write(30)]);
    await eventually(async () => expect(await depth()).toBe(0), { timeoutMs: 20_000 });
    let total = 0;
    for (const payloads of seen.values()) {
      expect(payloads).toEqual(payloads.map((_, index) => index + 2));
      total += payloads.length;
    }
    expect(total).toBe(30_000);
  });

  it("pause only the sink that is away, and catch up", async () => {
    let away = true;
    const seen: Record<string, string[]> = { kafka: [], redis: [] };
    const relay = startRelay({
      maxOutageBackoffMs: 200,
      sinks: {
        kafka: async (rows) => {
          if (away) {
            throw Object.assign(new Error("broker away"), { code: "ECONNREFUSED" });
          }
          seen.kafka?.push(...rows.map(({ payload }) => payload));
        },
        redis: async (rows) => {
          seen.redis?.push(...rows.map(({ payload }) => payload));
        },
      },
    });
    await append(row("a", "1"), row("a", "1", "redis"));
    await eventually(() => expect(seen.redis).toEqual(["1"]));
    await eventually(() =>
      expect(relay.health()).toEqual({
        ok: false,
        sinks: { kafka: { state: "paused", error: "broker away" }, redis: { state: "ok" } },
      }),
    );
    expect(await relay.oldestAgeMs()).toBeGreaterThan(0);
    expect((await relay.stats()).kafka).toMatchObject({ depth: 1, parked: 0 });
    away = false;
    await eventually(() => expect(seen.kafka).toEqual(["1"]));
    await eventually(() => expect(relay.health().ok).toBe(true));
    expect(await relay.oldestAgeMs()).toBe(0);
  });

  it("count a sink that does not answer as away", async () => {
    const never = makeGate();
    const signals: AbortSignal[] = [];
    const relay = startRelay({
      sinkTimeoutMs: 200,
      sinks: {
        kafka: async (_rows, { signal }) => {
          signals.push(signal);
          await never.opened;
        },
      },
    });
    await append(row("a", "1"));
    await eventually(() => expect(relay.health().sinks.kafka).toMatchObject({ state: "paused" }));
    expect(signals[0]?.aborted).toBe(true);
    expect(await depth()).toBe(1);
    never.open();
  });

  it("park a poison row after its faults, visibly; others pass it at once; released it is tried again", async () => {
    let refuses = true;
    const seen: string[] = [];
    startRelay({
      maxFaults: 3,
      faultBackoffMs: 20,
      sinks: {
        kafka: async (rows) => {
          if (refuses && rows.some(({ payload }) => payload === "poison")) {
            throw new TypeError("cannot be encoded");
          }
          seen.push(...rows.map(({ payload }) => payload));
        },
      },
    });
    await append(row("a", "a1"), row("a", "poison"), row("a", "a3"), row("b", "b1"), row("c", "c1"));
    await eventually(() => expect(seen.toSorted()).toEqual(["a1", "a3", "b1", "c1"]));
    const parked = await listParked(pool, schema);
    expect(parked).toMatchObject([{ aggregate: "a", attempts: 3, lastError: "cannot be encoded", sink: "kafka" }]);
    refuses = false;
    expect(
      await releaseParked(
        pool,
        schema,
        parked.map(({ id }) => id),
      ),
    ).toBe(1);
    await eventually(() => expect(seen).toContain("poison"));
    await eventually(async () => expect(await depth()).toBe(0));
  });

  it("survive a cut of their connections, and take the rows of one that is cut off in silence", async () => {
    await using proxy = await startTcpProxy({ target: database.url });
    const url = new URL(database.url);
    url.hostname = proxy.host;
    url.port = String(proxy.port);
    const far = makePool({ url: url.href, max: 4, applicationName: "postgres-test-far", logger: silent });
    closers.push(() => far.close());
    const seen: string[] = [];
    let hold = false;
    const gate = makeGate();
    startRelay(
      {
        sinkTimeoutMs: 1000,
        maxOutageBackoffMs: 200,
        sinks: {
          kafka: async (rows) => {
            seen.push(...rows.map(({ payload }) => payload));
            if (hold) {
              await gate.opened;
            }
          },
        },
      },
      far,
    );
    await append(row("a", "1"));
    await eventually(() => expect(seen).toEqual(["1"]));
    // Delivery is at least once: until the row is gone, a cut brings it again.
    await eventually(async () => expect(await depth()).toBe(0));
    proxy.cut();
    await append(row("a", "2"));
    proxy.restore();
    await eventually(() => expect(seen).toEqual(["1", "2"]));
    await eventually(async () => expect(await depth()).toBe(0));
    // Now it holds a claim, and not a byte passes any more: the server ends the session by its own clock.
    hold = true;
    await append(row("a", "3"));
    await eventually(() => expect(seen).toContain("3"));
    proxy.blackhole();
    const taken: string[] = [];
    startRelay({
      sinks: {
        kafka: async (rows) => {
          taken.push(...rows.map(({ payload }) => payload));
        },
      },
    });
    await eventually(() => expect(taken).toEqual(["3"]), { timeoutMs: 15_000 });
    hold = false;
    gate.open();
    proxy.restore();
  });

  it("leave their rows to another one when killed with -9 or stopped like a zombie", async () => {
    const children: ChildProcess[] = [];
    const spawn = async (): Promise<ChildProcess> => {
      const child = fork(new URL("./relay-child.ts", import.meta.url), [database.url], { stdio: "inherit" });
      children.push(child);
      await append(row(`a ${children.length}`, "stuck"));
      // It tells when it has the row in its sink, which never answers.
      await once(child, "message");
      return child;
    };
    closers.push(async () => {
      for (const child of children) {
        child.kill("SIGKILL");
      }
    });
    const killed = await spawn();
    killed.kill("SIGKILL");
    const zombie = await spawn();
    zombie.kill("SIGSTOP");
    const seen: string[] = [];
    startRelay({
      sinks: {
        kafka: async (rows) => {
          seen.push(...rows.map(({ aggregate }) => aggregate));
        },
      },
    });
    await eventually(() => expect(seen.toSorted()).toEqual(["a 1", "a 2"]), { timeoutMs: 20_000 });
    zombie.kill("SIGCONT");
    zombie.kill("SIGKILL");
    await once(zombie, "exit");
  });

  it("carry rows at a fair share of the rate at which plain SQL takes them out", async () => {
    const rows = 15_000;
    const payload = JSON.stringify({ product: "p", amountMinor: 1990, note: "x".repeat(200) });
    const fill = async (): Promise<void> => {
      for (let at = 0; at < rows; at += 5000) {
        await append(...Array.from({ length: 5000 }, (_, n) => row(`product ${at + n}`, payload)));
      }
    };
    const measure = async (drain: () => Promise<void>): Promise<number> => {
      await fill();
      const startedAt = performance.now();
      await drain();
      return rows / ((performance.now() - startedAt) / 1000);
    };
    const byPlainSql = (): Promise<number> =>
      measure(async () => {
        for (let taken = 0; taken < rows; taken += 1000) {
          await pool.sql.begin(async (sql) => {
            const batch = await sql<{ id: string }[]>`
              select o.id::text as id, o.payload from shop.outbox o order by o.id limit 1000`;
            await sql`delete from shop.outbox where id = any(${batch.map(({ id }) => id)}::bigint[])`;
          });
        }
      });
    const byRelay = (): Promise<number> =>
      measure(async () => {
        let seen = 0;
        const relay = startRelay({
          sinks: {
            kafka: async (batch) => {
              seen += batch.length;
            },
          },
        });
        await eventually(async () => seen === rows && (await depth()) === 0, { timeoutMs: 50_000 });
        await relay.stop();
      });
    // In turn, since a machine that is busy with something else slows both.
    const ratios: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const reference = await byPlainSql();
      const relayed = await byRelay();
      ratios.push(relayed / reference);
      console.log(`outbox relay: ${Math.round(relayed)} rows/s, plain SQL: ${Math.round(reference)} rows/s`);
    }
    expect(ratios.toSorted((a, b) => a - b)[1]).toBeGreaterThan(0.15);
  });
});
