/**
 * Deletes what an engine leaves at its servers, for `deletionPolicy: Delete`. Every step may be repeated, and what is gone already
 * is fine: killed anywhere, it goes on from the start.
 */
import type { KafkaAdmin } from "@pricing-engine/kafka";
import { type Pool, withSession } from "@pricing-engine/postgres";
import type { GuardedRedis } from "@pricing-engine/redis";

const deadlineMs = 60_000;
const schemas = ["gateway", "pricing", "ingest", "payment", "orders", "operator"] as const;

export async function purgeTopics(
  admin: Pick<KafkaAdmin, "listTopics" | "deleteTopics" | "listGroups" | "deleteGroup">,
  prefix: string,
): Promise<void> {
  const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(prefix));
  if (topics.length > 0) await admin.deleteTopics(topics);
  for (const group of await admin.listGroups()) if (group.startsWith(prefix)) await admin.deleteGroup(group);
}

/** Does nothing in a database that is another engine's. */
export async function purgeTables(pool: Pool, engine: string): Promise<void> {
  await withSession(pool, deadlineMs, async (sql) => {
    const [owned] = await sql<{ there: boolean }[]>`select to_regclass('operator.owner') is not null as there`;
    if (owned?.there !== true) return;
    const [owner] = await sql<{ engine: string }[]>`select engine from operator.owner`;
    if (owner?.engine !== engine) return;
    // The owner's row last: until then the database is this engine's, and a repeat goes on.
    for (const schema of schemas) await sql.unsafe(`drop schema if exists ${schema} cascade`);
  });
}

export async function purgeKeys(redis: GuardedRedis, prefix: string): Promise<void> {
  const pattern = `${prefix.replaceAll(/[\\*?[\]]/g, "\\$&")}*`;
  let cursor = "0";
  do {
    const [next, keys] = await redis.guarded((client) => client.scan(cursor, "MATCH", pattern, "COUNT", 500));
    if (keys.length > 0) await redis.guarded((client) => client.unlink(...keys));
    cursor = next;
  } while (cursor !== "0");
}
