import { type Logger, makeLogger } from "@pricing-engine/chassis/log";
import { makeTestDatabase, type TestDatabase } from "@pricing-engine/testkit";
import postgres from "postgres";
import { migrate } from "../../src/roles/migrate.ts";

export const silent: Logger = makeLogger({ name: "test", level: "fatal" });

/** A database with the service's tables and the months around now. */
export function makePaymentDatabase(): Promise<TestDatabase> {
  return makeTestDatabase({
    template: "payment",
    migrate: async (url) => {
      await migrate(url, silent);
      const sql = postgres(url, { max: 1 });
      try {
        for (const offset of [-1, 0, 1]) await sql.unsafe(monthDdl(offset));
      } finally {
        await sql.end();
      }
    },
  });
}

export function monthDdl(offset: number, now = new Date()): string {
  const start = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset, 1));
  const end = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset + 1, 1));
  const name = `payments_${start.toISOString().slice(0, 7).replace("-", "_")}`;
  return `create table payment.${name} partition of payment.payments
    for values from ('${start.toISOString()}') to ('${end.toISOString()}')`;
}
