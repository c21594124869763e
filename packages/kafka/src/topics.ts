import { setTimeout as delay } from "node:timers/promises";
import kafkajs, { type Kafka as Client } from "kafkajs";
import { backoffMs } from "./backoff.ts";
import type { Broker, Cluster } from "./kafkajs-cluster.ts";
import { protocolErrorType } from "./outage.ts";
import { makeSessions, type Sessions } from "./sessions.ts";
import { type TopicSpec, topicConfig } from "./topic-spec.ts";

/** Topics are asked for by name, all in one request: what that costs does not grow with what else the cluster holds. */
export interface Topics {
  /** @throws naming the topic, when the broker refuses to make one; the others are made */
  ensure(specs: readonly TopicSpec[]): Promise<void>;
  /** Those before an offset, by partition; of other partitions none. */
  deleteRecords(topic: string, before: ReadonlyMap<number, bigint>): Promise<void>;
  close(): Promise<void>;
}

/** By topic. */
type PartitionCounts = ReadonlyMap<string, number>;

interface Led {
  readonly topic: string;
  readonly partitions: readonly number[];
}

/** Of ListOffsets: where the next record goes. */
const end = -1;
const maxRaces = 3;
const raceBackoff = { baseMs: 50, maxMs: 200 };

/** On connections of its own, opened by the first call. A broker takes to the controller what is for that one. */
export function makeTopics(client: Client): Topics {
  const sessions = makeSessions(client);
  const { ask } = sessions;
  /** Made or grown by us, and not yet seen to take records: whoever could not wait for that left it to the next call. */
  const unready = new Set<string>();

  /** Partitions by topic; repeated until all of them are there. */
  function count(names: readonly string[]): Promise<PartitionCounts> {
    return ask(async (broker) => countPartitions(await broker.metadata(names)));
  }

  /** Undefined when one of them is missing: kafkajs says no more than that. */
  function find(names: readonly string[]): Promise<PartitionCounts | undefined> {
    return ask(async (broker) => {
      try {
        return countPartitions(await broker.metadata(names));
      } catch (error) {
        if (protocolErrorType(error) === "UNKNOWN_TOPIC_OR_PARTITION") return undefined;
        throw error;
      }
    });
  }

  /** Resolves with those that were there before. */
  function create(specs: readonly TopicSpec[]): Promise<ReadonlySet<string>> {
    const topics = specs.map((spec) => ({
      topic: spec.topic,
      numPartitions: spec.partitions,
      replicationFactor: spec.replicationFactor,
      configEntries: entriesOf(topicConfig(spec)),
    }));
    return ask(async (broker) => {
      try {
        await broker.createTopics({ topics });
        return new Set();
      } catch (error) {
        return existingOf(error);
      }
    });
  }

  async function addPartitions(specs: readonly TopicSpec[], found: PartitionCounts): Promise<void> {
    let counts = found;
    for (let attempt = 1; ; attempt += 1) {
      const topicPartitions = specs
        .filter(({ topic, partitions }) => partitions > (counts.get(topic) ?? partitions))
        .map(({ topic, partitions }) => ({ topic, count: partitions }));
      if (topicPartitions.length === 0) return;
      for (const { topic } of topicPartitions) unready.add(topic);
      try {
        await ask((broker) => broker.createPartitions({ topicPartitions }));
        return;
      } catch (error) {
        // Somebody else added them in the same moment, or our own first request did, whose answer was lost.
        if (protocolErrorType(error) !== "INVALID_PARTITIONS" || attempt === maxRaces) throw error;
        await delay(backoffMs(attempt, raceBackoff, Math.random()));
        counts = await count(specs.map(({ topic }) => topic));
      }
    }
  }

  /**
   * A partition has a leader in the metadata before that leader has opened its log. Until then it refuses records, while its
   * neighbours in the same request are written, and written again with the retry. It answers for its offsets from the same moment.
   */
  async function becomeReady(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    await askLeaders(sessions, names, (leader, led) => {
      const topics = led.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map((partition) => ({ partition, timestamp: end })),
      }));
      return leader.listOffsets({ topics });
    });
    for (const name of names) unready.delete(name);
  }

  /** AlterConfigs replaces the whole configuration of a topic, so what somebody else set there is sent along. */
  async function mendConfig(specs: readonly TopicSpec[]): Promise<void> {
    const type = kafkajs.ConfigResourceTypes.TOPIC;
    const described = await ask((broker) =>
      broker.describeConfigs({ resources: specs.map(({ topic }) => ({ type, name: topic })) }),
    );
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
    if (resources.length > 0) await ask((broker) => broker.alterConfigs({ resources }));
  }

  return {
    async ensure(specs) {
      const byName = new Map(specs.map((spec) => [spec.topic, spec]));
      if (byName.size === 0) return;
      const names = [...byName.keys()];
      const wanted = [...byName.values()];
      let found = await find(names);
      let present = wanted;
      if (found === undefined) {
        for (const name of names) unready.add(name);
        const existing = await create(wanted);
        present = wanted.filter(({ topic }) => existing.has(topic));
        found = present.length > 0 ? await count([...existing]) : new Map();
      }
      await addPartitions(present, found);
      await becomeReady(names.filter((name) => unready.has(name)));
      if (present.length > 0) await mendConfig(present);
    },
    async deleteRecords(topic, before) {
      await askLeaders(sessions, [topic], async (leader, led) => {
        const partitions = led
          .flatMap((one) => one.partitions)
          .flatMap((partition) => {
            const offset = before.get(partition);
            return offset === undefined ? [] : [{ partition, offset: offset.toString() }];
          });
        if (partitions.length > 0) await leader.deleteRecords({ topics: [{ topic, partitions }] });
      });
    },
    close: () => sessions.close(),
  };
}

type TopicMetadata = Awaited<ReturnType<Broker["metadata"]>>;

/** Asks the leaders of the topics, each for all that it leads; all of them, whatever one says. */
function askLeaders(
  { ask }: Sessions,
  names: readonly string[],
  question: (leader: Broker, led: Led[]) => Promise<unknown>,
): Promise<void> {
  return ask(async (broker, cluster) => {
    const metadata = await broker.metadata(names);
    await knowBrokers(cluster, names);
    const answers = await Promise.allSettled(
      [...ledByNode(metadata)].map(async ([nodeId, led]) => question(await cluster.findBroker({ nodeId }), led)),
    );
    for (const answer of answers) if (answer.status === "rejected") throw answer.reason;
  });
}

/** Where they are is in the metadata of any topics; of these it is known that they are there, and others' trouble is not ours. */
async function knowBrokers(cluster: Cluster, names: readonly string[]): Promise<void> {
  cluster.targetTopics = new Set(names);
  if (cluster.brokerPool.metadata === null || cluster.brokerPool.metadata === undefined)
    await cluster.refreshMetadata();
}

function countPartitions({ topicMetadata }: TopicMetadata): PartitionCounts {
  return new Map(topicMetadata.map(({ partitionMetadata, topic }) => [topic, partitionMetadata.length]));
}

function ledByNode({ topicMetadata }: TopicMetadata): Map<number, Led[]> {
  const nodes = new Map<number, Led[]>();
  for (const { partitionMetadata, topic } of topicMetadata) {
    for (const [nodeId, led] of Map.groupBy(partitionMetadata, ({ leader }) => leader)) {
      const partitions = led.map(({ partitionId }) => partitionId);
      nodes.set(nodeId, [...(nodes.get(nodeId) ?? []), { topic, partitions }]);
    }
  }
  return nodes;
}

function entriesOf(config: Record<string, string>): { name: string; value: string }[] {
  return Object.entries(config).map(([name, value]) => ({ name, value }));
}

/** Of what the broker said, when some of the topics were there. @throws for any other reason that one was not made */
function existingOf(error: unknown): Set<string> {
  if (!(error instanceof kafkajs.KafkaJSAggregateError)) throw error;
  const refusals = error.errors as unknown as readonly (Error & { readonly topic: string })[];
  for (const refusal of refusals) {
    if (protocolErrorType(refusal) === "TOPIC_ALREADY_EXISTS") continue;
    throw new Error(`${refusal.topic}: ${refusal.message}`, { cause: refusal });
  }
  return new Set(refusals.map(({ topic }) => topic));
}
