import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Logger, makeLogger } from "@pricing-engine/chassis/log";
import { makeTestDatabase, type TestDatabase } from "@pricing-engine/testkit";
import postgres from "postgres";
import { migrate } from "../../src/roles/migrate.ts";

export const silent: Logger = makeLogger({ name: "test", level: "fatal" });

export const entryOf = (service: "orders" | "payment" | "pricing"): string =>
  fileURLToPath(new URL(`../../../${service}/src/main.ts`, import.meta.url));

const months = [
  { table: "orders.orders" },
  { table: "orders.order_items" },
  { table: "orders.order_transitions" },
  { table: "payment.payments" },
  { table: "pricing.price_history" },
];

/** The tables of orders, pricing and payment in one database, as an engine has them, with the months around now. */
export function makeEngineDatabase(): Promise<TestDatabase> {
  return makeTestDatabase({
    template: "engine-of-orders",
    migrate: async (url) => {
      await migrate(url, silent);
      for (const service of ["pricing", "payment"] as const) {
        const env = { ...process.env, POSTGRES_URL: url };
        await promisify(execFile)(process.execPath, [entryOf(service), "migrate"], { env });
      }
      const sql = postgres(url, { max: 1, onnotice: () => undefined });
      try {
        for (const { table } of months) for (const offset of [-1, 0, 1]) await sql.unsafe(monthDdl(table, offset));
      } finally {
        await sql.end();
      }
    },
  });
}

function monthDdl(table: string, offset: number, now = new Date()): string {
  const start = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset, 1));
  const end = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset + 1, 1));
  const name = `${table}_${start.toISOString().slice(0, 7).replace("-", "_")}`;
  return `create table ${name} partition of ${table} for values from ('${start.toISOString()}') to ('${end.toISOString()}')`;
}
