import { registry } from "@pricing-engine/chassis/metrics";
import { expect, it } from "vitest";
import { makePool } from "./pool.ts";

const quiet = { warn: () => undefined, info: () => undefined, debug: () => undefined };

async function seenOf(pool: string): Promise<Record<string, number>> {
  const { values } = (await registry.getSingleMetric("pricing_engine_postgres_pool")?.get()) ?? { values: [] };
  const own = values.filter(({ labels }) => labels.pool === pool);
  return Object.fromEntries(own.map(({ labels, value }) => [labels.state, value]));
}

it("a pool says how many connections are lent, kept and waited for, until it is closed", async () => {
  // Nothing listens there, and nothing is opened before a query.
  const pool = makePool({
    url: "postgres://nobody@127.0.0.1:1/none",
    max: 2,
    applicationName: "a-test",
    logger: quiet,
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  const first = pool.lend(10_000, () => promise);
  const second = pool.lend(10_000, async () => undefined);
  expect(await seenOf("a-test")).toEqual({ busy: 1, idle: 0, waiting: 1 });
  resolve();
  await Promise.all([first, second]);
  expect(await seenOf("a-test")).toEqual({ busy: 0, idle: 1, waiting: 0 });
  await pool.close();
  expect(await seenOf("a-test")).toEqual({});
});
