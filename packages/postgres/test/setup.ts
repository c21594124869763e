import { setTimeout as delay } from "node:timers/promises";
import { inboxDdl, makePool, outboxDdl, type Pool } from "@pricing-engine/postgres";
import { makeTestDatabase, type TestDatabase } from "@pricing-engine/testkit";
import postgres from "postgres";

export const silent = { warn: () => undefined, info: () => undefined, debug: () => undefined };

/** A database with a schema `shop` that has an outbox and an inbox, and a table `counters`. */
export function makeShopDatabase(): Promise<TestDatabase> {
  return makeTestDatabase({
    template: "postgres_shop",
    migrate: async (url) => {
      const sql = postgres(url, { max: 1 });
      await sql.unsafe(
        `create schema shop; create table shop.counters (id text primary key, value int not null); ${outboxDdl("shop")} ${inboxDdl("shop")}`,
      );
      await sql.end();
    },
  });
}

export function makeTestPool(url: string, max = 8): Pool {
  return makePool({ url, max, applicationName: "postgres-test", logger: silent });
}

/** A promise and the means to fulfil it. */
export function makeGate(): { open: () => void; opened: Promise<void> } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

/** Rejects when `promise` is still pending after the time: a test must not hang. */
export async function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
  const abort = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: abort.signal }).then(() => {
    throw new Error(`still pending after ${timeoutMs} ms`);
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    abort.abort();
  }
}
