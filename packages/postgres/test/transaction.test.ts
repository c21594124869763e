import { randomUUID } from "node:crypto";
import {
  claimInbox,
  isPostgresOutage,
  makePool,
  type Pool,
  pruneInbox,
  query,
  type Tx,
  withTransaction,
} from "@pricing-engine/postgres";
import { eventually, startTcpProxy, type TestDatabase } from "@pricing-engine/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeGate, makeShopDatabase, makeTestPool, silent, within } from "./setup.ts";

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await makeShopDatabase();
  pool = makeTestPool(database.url);
});

afterAll(async () => {
  await pool.close();
  await database.drop();
});

async function readCounter(id: string): Promise<number | undefined> {
  const [row] = await pool.sql<{ value: number }[]>`select value from shop.counters where id = ${id}`;
  return row?.value;
}

describe("withTransaction", () => {
  it("commits, and then runs the hooks", async () => {
    const id = randomUUID();
    const calls: string[] = [];
    const answer = await withTransaction(
      pool,
      async (tx) => {
        tx.afterCommit(() => calls.push("after"));
        await tx.sql`insert into shop.counters values (${id}, 1)`;
        await tx.sql`update shop.counters set value = value + 1 where id = ${id}`;
        calls.push("work");
        return "done";
      },
      { deadlineMs: 5000 },
    );
    expect(answer).toBe("done");
    expect(calls).toEqual(["work", "after"]);
    expect(await readCounter(id)).toBe(2);
  });

  it("reads first inside of it: what that locks is locked until the commit, also in a session's first transaction", async () => {
    const id = randomUUID();
    await pool.sql`insert into shop.counters values (${id}, 1)`;
    const raise = () =>
      withTransaction(
        pool,
        async (tx, [row]) => {
          await tx.sql`update shop.counters set value = ${(row?.value ?? 0) + 1} where id = ${id}`;
        },
        {
          deadlineMs: 10_000,
          read: async (tx: Tx) =>
            await tx.sql<{ value: number }[]>`select value from shop.counters where id = ${id} for update`,
        },
      );
    await Promise.all(Array.from({ length: 20 }, raise));
    expect(await readCounter(id)).toBe(21);
  });

  it("rolls back when its first read throws", async () => {
    const calls: string[] = [];
    const read = (tx: Tx) => tx.sql`select 1 / 0`.then(() => calls.push("read"));
    const failing = withTransaction(pool, async () => calls.push("work"), { deadlineMs: 5000, read });
    await expect(failing).rejects.toMatchObject({ code: "22012" });
    expect(calls).toEqual([]);
    expect(
      await withTransaction(pool, async ({ sql }) => (await sql`select 1 as one`)[0], { deadlineMs: 5000 }),
    ).toEqual({
      one: 1,
    });
  });

  it("rolls back what throws, keeps the error and the connection", async () => {
    const id = randomUUID();
    const calls: string[] = [];
    const failing = withTransaction(
      pool,
      async (tx) => {
        tx.afterCommit(() => calls.push("after"));
        await tx.sql`insert into shop.counters values (${id}, 1)`;
        await tx.sql`insert into shop.counters values (${id}, 1)`;
      },
      { deadlineMs: 5000 },
    );
    await expect(failing).rejects.toMatchObject({ code: "23505" });
    expect(calls).toEqual([]);
    expect(await readCounter(id)).toBeUndefined();
    expect(pool.use()).toMatchObject({ busy: 0, waiting: 0 });
  });

  it("refuses to report success when a failed statement was swallowed", async () => {
    const id = randomUUID();
    const failing = withTransaction(
      pool,
      async (tx) => {
        await tx.sql`insert into shop.counters values (${id}, 1)`;
        await tx.sql`select 1 / 0`.catch(() => undefined);
      },
      { deadlineMs: 5000 },
    );
    await expect(failing).rejects.toMatchObject({ code: "internal" });
    expect(await readCounter(id)).toBeUndefined();
  });

  it("ends at its deadline, and the server has rolled back and freed its locks", async () => {
    const id = randomUUID();
    await pool.sql`insert into shop.counters values (${id}, 1)`;
    const late = withTransaction(
      pool,
      async (tx) => {
        await tx.sql`update shop.counters set value = 2 where id = ${id}`;
        await tx.sql`select pg_sleep(60)`;
      },
      { deadlineMs: 300 },
    );
    await expect(within(3000, late)).rejects.toMatchObject({ code: "postgres_unavailable" });
    await withTransaction(pool, (tx) => tx.sql`update shop.counters set value = value + 10 where id = ${id}`, {
      deadlineMs: 5000,
    });
    expect(await readCounter(id)).toBe(11);
  });

  it("of a process that says nothing ends, and frees its locks, long before its deadline", async () => {
    const id = randomUUID();
    await pool.sql`insert into shop.counters values (${id}, 1)`;
    const held = makeGate();
    const gate = makeGate();
    const silent = withTransaction(
      pool,
      async (tx) => {
        await tx.sql`update shop.counters set value = 2 where id = ${id}`;
        held.open();
        await gate.opened;
        await tx.sql`update shop.counters set value = 3 where id = ${id}`;
      },
      { deadlineMs: 60_000, silenceMs: 1_000 },
    );
    const ended = expect(silent).rejects.toSatisfy(isPostgresOutage);
    // Should it be silent before it holds anything, that is what this says.
    await Promise.race([held.opened, silent]);
    await withTransaction(pool, (tx) => tx.sql`update shop.counters set value = value + 10 where id = ${id}`, {
      deadlineMs: 5000,
    });
    gate.open();
    await ended;
    expect(await readCounter(id)).toBe(11);
  });

  it("ends at its deadline though fn waits for something else, and nothing runs outside the transaction", async () => {
    const id = randomUUID();
    const gate = makeGate();
    let afterwards: Promise<unknown> = Promise.resolve();
    const late = withTransaction(
      pool,
      async (tx) => {
        await tx.sql`select 1`;
        await gate.opened;
        afterwards = tx.sql`insert into shop.counters values (${id}, 1)`.then(() => "written");
        await afterwards;
      },
      // Long enough to come to the gate.
      { deadlineMs: 1_000 },
    );
    await expect(within(3000, late)).rejects.toSatisfy(isPostgresOutage);
    gate.open();
    await eventually(() => expect(afterwards).rejects.toSatisfy(isPostgresOutage));
    expect(await readCounter(id)).toBeUndefined();
  });

  it("fails, and writes nothing, when its backend is terminated in the middle", async () => {
    const id = randomUUID();
    const failing = withTransaction(
      pool,
      async (tx) => {
        const [row] = await tx.sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
        await pool.sql`select pg_terminate_backend(${row?.pid ?? 0})`;
        await eventually(async () => {
          const [left] = await pool.sql`select 1 from pg_stat_activity where pid = ${row?.pid ?? 0}`;
          expect(left).toBeUndefined();
        });
        await tx.sql`insert into shop.counters values (${id}, 1)`;
      },
      { deadlineMs: 5000 },
    );
    await expect(failing).rejects.toMatchObject({ code: "postgres_unavailable" });
    expect(await readCounter(id)).toBeUndefined();
  });

  it("retries serialization failures", async () => {
    const id = randomUUID();
    await pool.sql`insert into shop.counters values (${id}, 0)`;
    const increment = () =>
      withTransaction(
        pool,
        async (tx) => {
          const [row] = await tx.sql<{ value: number }[]>`select value from shop.counters where id = ${id}`;
          await tx.sql`update shop.counters set value = ${(row?.value ?? 0) + 1} where id = ${id}`;
        },
        { deadlineMs: 10_000, isolation: "serializable", attempts: 30 },
      );
    await Promise.all(Array.from({ length: 5 }, increment));
    expect(await readCounter(id)).toBe(5);
  });

  it("says so when the answer of COMMIT is lost, and the pool works on", async () => {
    await using proxy = await startTcpProxy({ target: database.url });
    const url = new URL(database.url);
    url.hostname = proxy.host;
    url.port = String(proxy.port);
    const far = makePool({ url: url.href, max: 2, applicationName: "postgres-test-far", logger: silent });
    try {
      const id = randomUUID();
      // Its connection is there before the time runs, which has to suffice for all but the COMMIT.
      await far.check();
      const unknown = withTransaction(
        far,
        async (tx) => {
          await tx.sql`insert into shop.counters values (${id}, 1)`;
          proxy.blackhole();
        },
        { deadlineMs: 1_000 },
      );
      await expect(within(5000, unknown)).rejects.toMatchObject({ code: "commit_unknown", retryable: true });
      proxy.restore();
      await within(5000, far.check());
    } finally {
      await far.close();
    }
  });

  it("gives up waiting for a connection at its deadline", async () => {
    const small = makeTestPool(database.url, 2);
    const gate = makeGate();
    const holder = small.lend(1000, () => gate.opened);
    try {
      await expect(withTransaction(small, async () => undefined, { deadlineMs: 100 })).rejects.toMatchObject({
        code: "postgres_unavailable",
      });
      expect(small.use().waiting).toBe(0);
    } finally {
      gate.open();
      await holder;
      await small.close();
    }
  });
});

describe("query", () => {
  it("destroys the connection at the deadline, and the next one works", async () => {
    await expect(
      within(
        3000,
        query(pool, 150, ({ sql }) => sql`select pg_sleep(60)`),
      ),
    ).rejects.toMatchObject({ code: "postgres_unavailable" });
    expect(await query(pool, 1000, ({ sql }) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
  });

  it("maps a refused connection", async () => {
    const nowhere = makeTestPool("postgres://nobody@127.0.0.1:1/none");
    await expect(query(nowhere, 2000, ({ sql }) => sql`select 1`)).rejects.toMatchObject({
      code: "postgres_unavailable",
    });
    await expect(nowhere.check()).rejects.toSatisfy(isPostgresOutage);
    await nowhere.close();
  });
});

describe("inbox", () => {
  it("is claimed once among concurrent transactions, and again after a rollback", async () => {
    const claim = { schema: "shop", consumer: "worker", messageId: randomUUID() };
    await expect(
      withTransaction(
        pool,
        async (tx) => {
          await claimInbox(tx, claim);
          throw new RangeError("rolled back");
        },
        { deadlineMs: 5000 },
      ),
    ).rejects.toThrow("rolled back");
    const claims = await Promise.all(
      Array.from({ length: 5 }, () => withTransaction(pool, (tx) => claimInbox(tx, claim), { deadlineMs: 5000 })),
    );
    expect(claims.filter(Boolean)).toHaveLength(1);
  });

  it("forgets what is old, in bites", async () => {
    await pool.sql`
      insert into shop.inbox select 'old', i::text, now() - interval '2 days' from generate_series(1, 25) i`;
    await pool.sql`insert into shop.inbox values ('new', '1')`;
    expect(await pruneInbox(pool, { schema: "shop", olderThanMs: 86_400_000, biteSize: 10 })).toBe(25);
    expect(await pool.sql`select 1 from shop.inbox where consumer = 'new'`).toHaveLength(1);
  });
});

it("a deadline at any moment while its connection is being made is an outage, and nothing that ends the process", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", note);
  await using proxy = await startTcpProxy({ target: database.url });
  const url = new URL(database.url);
  url.hostname = proxy.host;
  url.port = String(proxy.port);
  // Each message takes its time, so that deadlines fall between all of them: the greeting, the login, the types.
  proxy.delay(20);
  try {
    for (let deadlineMs = 20, successes = 0; successes < 2; deadlineMs += 10) {
      const slow = makeTestPool(url.href);
      try {
        await query(slow, deadlineMs, ({ sql }) => sql`select 1`);
        successes += 1;
      } catch (error) {
        expect(error).toMatchObject({ code: "postgres_unavailable" });
      } finally {
        await slow.close();
      }
    }
  } finally {
    process.off("unhandledRejection", note);
  }
  expect(unhandled).toEqual([]);
});
