/**
 * What a role has to do that no consumer group shows: rows that its relay carries, payments that Kafka has given away, what is
 * overdue. A role that has such work must not be asleep, because nobody else does it.
 */
import type { EngineSettings } from "@pricing-engine/contracts";
import { type Pool, query, type Sql } from "@pricing-engine/postgres";
import type { Role } from "../core/plan.ts";

const deadlineMs = 1_500;
/** The question is whether there is any; counting on costs and tells nothing new. */
const enough = 1_000;

export async function countWaiting(pool: Pool, role: Role, settings: EngineSettings): Promise<number> {
  const count = counters[role];
  if (count === undefined) return 0;
  return await query(pool, deadlineMs, async ({ sql }) => {
    const [row] = await count(sql, settings);
    return row?.waiting ?? 0;
  });
}

/** What no role can do, because a person must: payments as `payments manual-review` lists them. */
export async function countForReview(pool: Pool): Promise<number> {
  return await query(pool, deadlineMs, async ({ sql }) => {
    const [row] = await sql<{ count: number }[]>`
      select count(*)::int as count from (
        select 1 from payment.payments where refund = 'manual_review' or review is not null limit ${enough}
      ) rows`;
    return row?.count ?? 0;
  });
}

type Counter = (sql: Sql, settings: EngineSettings) => Promise<readonly { waiting: number }[]>;

const unsent = (sql: Sql, schema: string) =>
  sql`(select count(*) from (select 1 from ${sql(schema)}.outbox where parked_at is null limit ${enough}) rows)`;

const counters: Partial<Record<Role, Counter>> = {
  "pricing-worker": (sql, { pricing }) => {
    const everyMs = pricing.recalculateEveryMs;
    const isDue = sql`(${everyMs}::float8 > 0 and coalesce(
      (select max(created_at) from pricing.tasks where product_id is null)
        <= clock_timestamp() - make_interval(secs => ${everyMs / 1000}), true))::int`;
    return sql<{ waiting: number }[]>`
      select (${unsent(sql, "pricing")} + ${isDue} + (
        select count(*) from (select 1 from pricing.tasks where finished_at is null limit ${enough}) tasks
      ))::int as waiting`;
  },
  "ingest-worker": (sql) => sql<{ waiting: number }[]>`select ${unsent(sql, "ingest")}::int as waiting`,
  "payment-worker": (sql) => sql<{ waiting: number }[]>`
    select (${unsent(sql, "payment")} + (
      select count(*) from (
        select 1 from payment.payments where state in ('waiting', 'sending', 'unknown') limit ${enough}) open
    ) + (
      select count(*) from (select 1 from payment.payments where refund = 'requested' limit ${enough}) refunds
    ))::int as waiting`,
  "orders-payment": (sql) => sql<{ waiting: number }[]>`
    select (${unsent(sql, "orders")} + (
      select count(*) from (select 1 from orders.orders where overdue_at < now() limit ${enough}) overdue
    ))::int as waiting`,
};
