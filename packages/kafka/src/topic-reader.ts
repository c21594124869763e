import { uuidv7 } from "uuidv7";
import type { Kafka } from "./kafka.ts";
import type { RawRecord } from "./message.ts";

/**
 * Every record that a topic holds now, in offset order per partition. Bounded by `timeoutMs`: throws when the end was
 * not reached. Uses a group of its own, deleted afterwards.
 */
export async function readTopic(kafka: Kafka, topic: string, timeoutMs = 30_000): Promise<RawRecord[]> {
  const admin = kafka.client.admin();
  const groupId = `dlq-reader-${uuidv7()}`;
  await admin.connect();
  try {
    const ends = new Map<number, bigint>();
    for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
      if (BigInt(high) > BigInt(low)) ends.set(partition, BigInt(high));
    }
    return ends.size === 0 ? [] : await readUntil(kafka, topic, groupId, ends, timeoutMs);
  } finally {
    await admin.deleteGroups([groupId]).catch(() => undefined);
    await admin.disconnect();
  }
}

async function readUntil(
  kafka: Kafka,
  topic: string,
  groupId: string,
  ends: ReadonlyMap<number, bigint>,
  timeoutMs: number,
): Promise<RawRecord[]> {
  const consumer = kafka.client.consumer({ groupId, maxWaitTimeInMs: 100, allowAutoTopicCreation: false });
  const records: RawRecord[] = [];
  const missing = new Map(ends);
  const done = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => done.reject(new Error(`${topic} could not be read within ${timeoutMs} ms`)),
    timeoutMs,
  );
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    // A coordinator that has just begun: kafkajs comes again, from the beginning.
    records.length = 0;
    for (const [partition, end] of ends) missing.set(partition, end);
    if (!payload.restart) done.reject(payload.error);
  });
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        const end = ends.get(batch.partition);
        if (end === undefined) return;
        for (const message of batch.messages) {
          const offset = BigInt(message.offset);
          if (offset >= end) continue;
          const { key, value, headers = {}, timestamp } = message;
          records.push({
            topic,
            partition: batch.partition,
            offset,
            key,
            value,
            headers,
            timestampMs: Number(timestamp),
          });
        }
        if (BigInt(batch.lastOffset()) + 1n >= end) missing.delete(batch.partition);
        if (missing.size === 0) done.resolve();
      },
    });
    await done.promise;
  } finally {
    clearTimeout(timer);
    await consumer.disconnect();
  }
  return records;
}
