import type { KafkaAdmin } from "@pricing-engine/kafka";
import { type Pool, query } from "@pricing-engine/postgres";
import type { Backlog } from "../usecases/traffic.ts";

const smoothing = 0.3;

/** What waits for a worker in Kafka and in the table, and how fast more of it comes. */
export function makeBacklogReader({
  admin,
  pool,
  topic,
  groupId,
}: {
  admin: Pick<KafkaAdmin, "groupLag">;
  pool: Pool;
  topic: string;
  groupId: string;
}): (partitions: readonly number[]) => Promise<Backlog> {
  const ends = new Map<number, { high: bigint; atMs: number }>();
  let arrivalPerSecond = 0;

  return async (partitions) => {
    const wanted = new Set(partitions);
    const { partitions: lags } = await admin.groupLag(groupId, [topic]);
    const own = lags.filter(({ partition }) => wanted.has(partition));
    const nowMs = performance.now();
    let perSecond = 0;
    for (const { partition, high } of own) {
      const before = ends.get(partition);
      if (before !== undefined && nowMs > before.atMs) {
        perSecond += (Number(high - before.high) * 1000) / (nowMs - before.atMs);
      }
      ends.set(partition, { high, atMs: nowMs });
    }
    arrivalPerSecond += (perSecond - arrivalPerSecond) * smoothing;
    const [waiting] = await query(
      pool,
      2_000,
      ({ sql }) => sql<{ payments: number; oldest_ms: string | null }[]>`
        select count(*)::int as payments, min(accepted_at_ms) as oldest_ms from payment.payments
        where state = 'waiting' and topic_partition = any(${[...partitions]}::int[])`,
    );
    const inKafka = own.reduce((sum, { lag }) => sum + Number(lag), 0);
    const oldest = waiting?.oldest_ms ?? null;
    return {
      payments: inKafka + (waiting?.payments ?? 0),
      arrivalPerSecond,
      oldestAcceptedAtMs: oldest === null ? null : Number(oldest),
    };
  };
}
