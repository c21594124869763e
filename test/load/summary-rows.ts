import type { Sql } from "postgres";

const dayMs = 86_400_000;
const burstMs = 2_000_000;

/** When the loaded payments were sent: half of them over a day, the other half in a burst of 2,000 s within it. */
export interface LoadedSpan {
  readonly fromMs: number;
  readonly toMs: number;
}

/** As many settled payments, with their rollups as four workers would have left them. Only the indexes of the summary are kept. */
export async function loadSettled(sql: Sql, count: number): Promise<LoadedSpan> {
  const fromMs = Date.now() - dayMs;
  const burstFromMs = fromMs + 50_000_000;
  await sql`alter table payment.payments drop constraint payments_pkey`;
  await sql`drop index payment.payments_settled`;
  await sql`
    insert into payment.payments (correlation_id, source, created_at, topic_partition, amount_minor, accepted_at_ms, state,
      processor, requested_at_ms, attempts, version, settled_at)
    select gen_random_uuid(), 'api', now(), n % 12, 1 + (n::bigint * 7919) % 100000, at_ms, 'settled',
      case when n % 5 = 0 then 'fallback' else 'default' end, at_ms, 1, 2, now()
    from (
      select n, case when n % 2 = 0 then ${fromMs}::bigint + floor(random() * ${dayMs})::bigint
        else ${burstFromMs}::bigint + floor(random() * ${burstMs})::bigint end as at_ms
      from generate_series(1, ${count}::int) as n
    ) as drawn`;
  await sql`
    create index payments_settled on payment.payments (requested_at_ms) include (processor, amount_minor)
    where state = 'settled'`;
  await sql`
    insert into payment.rollups (granularity_ms, bucket_ms, processor, shard, payments, amount_minor)
    select length_ms, requested_at_ms / length_ms * length_ms, processor, topic_partition % 4, count(*), sum(amount_minor)
    from payment.payments cross join unnest(array[1000, 60000, 3600000, 86400000]) as g (length_ms)
    group by 1, 2, 3, 4`;
  // As autovacuum would have by then.
  await sql`vacuum analyze payment.payments, payment.rollups`;
  return { fromMs, toMs: fromMs + dayMs };
}

/** Any window: as drawn, a tenth of them short. */
export function drawWindow({ fromMs, toMs }: LoadedSpan): { from: string; to: string } {
  const draw = (): number => Math.floor(fromMs + Math.random() * (toMs - fromMs));
  const first = draw();
  const second = Math.random() < 0.1 ? first + Math.floor(Math.random() * 1_500) : draw();
  return {
    from: new Date(Math.min(first, second)).toISOString(),
    to: new Date(Math.max(first, second)).toISOString(),
  };
}

/** Count and amount in hundredths of the window by reading the payments themselves. */
export async function countWindow(sql: Sql, window: { from: string; to: string }): Promise<string> {
  const rows = await sql<{ processor: string; count: string; amount: string }[]>`
    select processor, count(*), sum(amount_minor) as amount from payment.payments
    where state = 'settled' and requested_at_ms between ${Date.parse(window.from)} and ${Date.parse(window.to)}
    group by processor order by processor`;
  return rows.map(({ processor, count, amount }) => `${processor} ${count} ${amount}`).join(", ");
}
