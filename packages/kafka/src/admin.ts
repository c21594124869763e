import { setTimeout as delay } from "node:timers/promises";
import kafkajs, { type Admin } from "kafkajs";
import { backoffMs } from "./backoff.ts";
import type { GroupLook, GroupPartition } from "./group-look.ts";
import { makeGroupLooks } from "./group-looks.ts";
import type { Kafka } from "./kafka.ts";
import { isKafkaOutage, protocolErrorType } from "./outage.ts";
import { type TopicSpec, topicConfig } from "./topic-spec.ts";

export interface GroupLag {
  total: bigint;
  partitions: GroupPartition[];
}

export interface KafkaAdmin {
  /**
   * Makes what is missing, adds partitions (never removes any), mends the configuration. May be repeated at will. What it made
   * takes records when it resolves.
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

// Some 10 s; most leaders are ready at once.
const maxLeaderAttempts = 20;
const leaderBackoff = { baseMs: 25, maxMs: 1_000 };

export interface KafkaAdminOptions {
  kafka: Kafka;
  /** How long a look at a group waits for others to be asked with it; default 0. */
  gatherLooksMs?: number;
}

/** A connection to the cluster for administration and one for looks at groups; each opened by its first call. */
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

  return {
    async ensureTopics(specs) {
      const admin = await connect();
      const existing = new Set(await admin.listTopics());
      const missing = specs.filter(({ topic }) => !existing.has(topic));
      if (missing.length > 0) {
        await createTopics(admin, missing);
        await Promise.all(missing.map(({ topic }) => leadersReady(admin, topic)));
      }
      const present = specs.filter(({ topic }) => existing.has(topic));
      if (present.length > 0) {
        await addPartitions(admin, present);
        await mendConfig(admin, present);
      }
    },
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
      const partitions = [...lowest].flatMap(([partition, { below, low }]) =>
        below > low ? [{ partition, offset: below.toString() }] : [],
      );
      if (partitions.length > 0) await (await connect()).deleteTopicRecords({ topic, partitions });
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
      await looks.close();
      if (connected === undefined) return;
      await connected.catch(() => undefined);
      await client.disconnect();
    },
  };
}

function entriesOf(config: Record<string, string>): { name: string; value: string }[] {
  return Object.entries(config).map(([name, value]) => ({ name, value }));
}

async function createTopics(admin: Admin, specs: TopicSpec[]): Promise<void> {
  try {
    await admin.createTopics({
      waitForLeaders: true,
      topics: specs.map((spec) => ({
        topic: spec.topic,
        numPartitions: spec.partitions,
        replicationFactor: spec.replicationFactor,
        configEntries: entriesOf(topicConfig(spec)),
      })),
    });
  } catch (error) {
    // Somebody else made one of them at the same moment: make the others one by one.
    if (specs.length === 1) {
      if (isAlreadyThere(error)) return;
      throw error;
    }
    for (const spec of specs) await createTopics(admin, [spec]);
  }
}

/**
 * A partition has a leader in the metadata before that leader has opened its log. Until then it refuses records, while its
 * neighbours in the same request are written, and written again with the retry. It answers for its offsets from the same moment.
 */
async function leadersReady(admin: Admin, topic: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await admin.fetchTopicOffsets(topic);
      return;
    } catch (error) {
      if (!isKafkaOutage(error) || attempt === maxLeaderAttempts) throw error;
      await delay(backoffMs(attempt, leaderBackoff, Math.random()));
    }
  }
}

function isAlreadyThere(error: unknown): boolean {
  if (protocolErrorType(error) === "TOPIC_ALREADY_EXISTS") return true;
  if (!(error instanceof kafkajs.KafkaJSAggregateError)) return false;
  return error.errors.every((one: unknown) => protocolErrorType(one) === "TOPIC_ALREADY_EXISTS");
}

async function addPartitions(admin: Admin, specs: TopicSpec[]): Promise<void> {
  const { topics } = await admin.fetchTopicMetadata({ topics: specs.map(({ topic }) => topic) });
  const counts = new Map(topics.map(({ name, partitions }) => [name, partitions.length]));
  const topicPartitions = specs
    .filter(({ topic, partitions }) => partitions > (counts.get(topic) ?? partitions))
    .map(({ topic, partitions }) => ({ topic, count: partitions }));
  if (topicPartitions.length > 0) await admin.createPartitions({ topicPartitions });
}

/** `alterConfigs` replaces the whole configuration of a topic, so what somebody else set there is sent along. */
async function mendConfig(admin: Admin, specs: TopicSpec[]): Promise<void> {
  const type = kafkajs.ConfigResourceTypes.TOPIC;
  const described = await admin.describeConfigs({
    includeSynonyms: false,
    resources: specs.map(({ topic }) => ({ type, name: topic })),
  });
  const resources = specs.flatMap((spec) => {
    const found = described.resources.find(({ resourceName }) => resourceName === spec.topic);
    const all = Object.fromEntries(
      (found?.configEntries ?? []).map(({ configName, configValue }) => [configName, configValue]),
    );
    const own = (found?.configEntries ?? []).filter(
      ({ configSource }) => configSource === kafkajs.ConfigSource.TOPIC_CONFIG,
    );
    const wanted = topicConfig(spec);
    if (Object.entries(wanted).every(([name, value]) => all[name] === value)) return [];
    const kept = Object.fromEntries(own.map(({ configName, configValue }) => [configName, configValue]));
    return [{ type, name: spec.topic, configEntries: entriesOf({ ...kept, ...wanted }) }];
  });
  if (resources.length > 0) await admin.alterConfigs({ validateOnly: false, resources });
}
