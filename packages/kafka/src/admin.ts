import type { GroupLook, GroupPartition } from "./group-look.ts";
import { makeGroupLooks } from "./group-looks.ts";
import type { Kafka } from "./kafka.ts";
import type { TopicSpec } from "./topic-spec.ts";
import { makeTopics } from "./topics.ts";

export interface GroupLag {
  total: bigint;
  partitions: GroupPartition[];
}

export interface KafkaAdmin {
  /**
   * Makes what is missing, adds partitions (never removes any), mends the configuration. May be repeated at will. What it made
   * takes records when it resolves.
   *
   * @throws naming the topic, when the cluster refuses to make one; the others are made
   */
  ensureTopics(specs: TopicSpec[]): Promise<void>;
  groupLag(groupId: string, topics: readonly string[]): Promise<GroupLag>;
  /** Who reads what, and how far it is. Several at once go into the same requests. */
  groupLook(groupId: string, topics: readonly string[]): Promise<GroupLook>;
  /** Deletes the records that every one of the groups has committed; a partition that one never committed keeps all. */
  deleteCommittedRecords(topic: string, groupIds: string[]): Promise<void>;
  listTopics(): Promise<string[]>;
  deleteTopics(topics: string[]): Promise<void>;
  listGroups(): Promise<string[]>;
  deleteGroup(groupId: string): Promise<void>;
  close(): Promise<void>;
}

export interface KafkaAdminOptions {
  kafka: Kafka;
  /** How long a look at a group waits for others to be asked with it; default 0. */
  gatherLooksMs?: number;
}

/** Connections to the cluster for topics, for looks at groups and for the rest; each opened by its first call. */
export function makeKafkaAdmin({ kafka, gatherLooksMs }: KafkaAdminOptions): KafkaAdmin {
  const client = kafka.client.admin({ retry: { retries: 8, initialRetryTime: 100, maxRetryTime: 2_000 } });
  let connected: Promise<void> | undefined;

  const connect = async () => {
    connected ??= client.connect().catch((error: unknown) => {
      connected = undefined;
      throw error;
    });
    await connected;
    return client;
  };

  const looks = makeGroupLooks(kafka.client, gatherLooksMs);
  const topics = makeTopics(kafka.client);

  return {
    ensureTopics: (specs) => topics.ensure(specs),
    async groupLag(groupId, topics) {
      const { partitions } = await looks.look(groupId, topics);
      return { partitions, total: partitions.reduce((sum, { lag }) => sum + lag, 0n) };
    },
    groupLook: (groupId, topics) => looks.look(groupId, topics),
    async deleteCommittedRecords(topic, groupIds) {
      const perGroup = await Promise.all(groupIds.map((groupId) => looks.look(groupId, [topic])));
      const lowest = new Map<number, { below: bigint; low: bigint }>();
      for (const { partition, committed = 0n, low } of perGroup.flatMap(({ partitions }) => partitions)) {
        const known = lowest.get(partition);
        lowest.set(partition, { low, below: known !== undefined && known.below < committed ? known.below : committed });
      }
      const deletable = [...lowest].filter(([, { below, low }]) => below > low);
      if (deletable.length === 0) return;
      await topics.deleteRecords(topic, new Map(deletable.map(([partition, { below }]) => [partition, below])));
    },
    async listTopics() {
      return (await connect()).listTopics();
    },
    async deleteTopics(topics) {
      await (await connect()).deleteTopics({ topics });
    },
    async listGroups() {
      const { groups } = await (await connect()).listGroups();
      return groups.map(({ groupId }) => groupId);
    },
    async deleteGroup(groupId) {
      await (await connect()).deleteGroups([groupId]);
    },
    async close() {
      await Promise.all([looks.close(), topics.close()]);
      if (connected === undefined) return;
      await connected.catch(() => undefined);
      await client.disconnect();
    },
  };
}
