import { setTimeout as delay } from "node:timers/promises";
import kafkajs, { type Admin, type Kafka as Client } from "kafkajs";
import { backoffMs } from "./backoff.ts";
import { type Broker, type Cluster, makeCluster, type TopicMetadata } from "./kafkajs-cluster.ts";
import { isKafkaOutage, protocolErrorType } from "./outage.ts";
import { type TopicSpec, topicConfig } from "./topic-spec.ts";

/** Topics are asked for by name, all in one request: what that costs does not grow with what else the cluster holds. */
export interface Topics {
  /** @throws naming the topic, when one cannot be made; the others are */
  ensure(specs: readonly TopicSpec[]): Promise<void>;
  /** Those before an offset, by partition; of other partitions none. */
  deleteRecords(topic: string, before: ReadonlyMap<number, bigint>): Promise<void>;
  close(): Promise<void>;
}

interface Led {
  readonly topic: string;
  readonly partitions: readonly number[];
}

/** Most leaders are ready at once. */
const patienceMs = 10_000;
const backoff = { baseMs: 25, maxMs: 1_000 };
/** Of ListOffsets: where the next record goes. */
const end = -1;

/** On a connection of its own, opened by the first call. `openAdmin`: for what is changed of topics that were there. */
export function makeTopics(client: Client, openAdmin: () => Promise<Admin>): Topics {
  let cluster: Cluster | undefined;
  let loaded: Promise<void> | undefined;

  async function connect(): Promise<Cluster> {
    cluster ??= makeCluster(client);
    await cluster.connect();
    // For the brokers in it: the one time that all topics are asked for.
    loaded ??= cluster.refreshMetadata();
    await loaded.catch((error: unknown) => {
      loaded = undefined;
      throw error;
    });
    return cluster;
  }

  /** Asks the controller, again where waiting helps. */
  async function ask<T>(question: (controller: Broker, connected: Cluster) => Promise<T>): Promise<T> {
    const untilMs = performance.now() + patienceMs;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const connected = await connect();
        return await question(await connected.findControllerBroker(), connected);
      } catch (error) {
        if (!isKafkaOutage(error) || performance.now() >= untilMs) throw error;
        if (protocolErrorType(error) === "NOT_CONTROLLER") loaded = undefined;
        await delay(backoffMs(attempt, backoff, Math.random()));
      }
    }
  }

  /** Undefined when one of them is missing: kafkajs says no more than that. */
  function find(names: readonly string[]): Promise<TopicMetadata[] | undefined> {
    return ask(async (controller) => {
      try {
        return (await controller.metadata(names)).topicMetadata;
      } catch (error) {
        if (protocolErrorType(error) === "UNKNOWN_TOPIC_OR_PARTITION") return undefined;
        throw error;
      }
    });
  }

  /** Resolves with those that were there before. */
  function create(specs: readonly TopicSpec[]): Promise<Set<string>> {
    const topics = specs.map((spec) => ({
      topic: spec.topic,
      numPartitions: spec.partitions,
      replicationFactor: spec.replicationFactor,
      configEntries: entriesOf(topicConfig(spec)),
    }));
    return ask(async (controller) => {
      try {
        await controller.createTopics({ topics });
        return new Set();
      } catch (error) {
        return existingOf(error);
      }
    });
  }

  /** Asks the leaders of what there is of the topics, each for all that it leads. */
  function askLeaders(
    names: readonly string[],
    question: (leader: Broker, led: Led[]) => Promise<unknown>,
  ): Promise<void> {
    return ask(async (controller, connected) => {
      const { topicMetadata } = await controller.metadata(names);
      for (const [nodeId, led] of ledByNode(topicMetadata)) {
        await question(await connected.findBroker({ nodeId }), led);
      }
    });
  }

  /**
   * A partition has a leader in the metadata before that leader has opened its log. Until then it refuses records, while its
   * neighbours in the same request are written, and written again with the retry. It answers for its offsets from the same moment.
   */
  async function becomeReady(names: readonly string[]): Promise<void> {
    await askLeaders(names, (leader, led) => {
      const topics = led.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map((partition) => ({ partition, timestamp: end })),
      }));
      return leader.listOffsets({ topics });
    });
  }

  async function addPartitions(specs: readonly TopicSpec[], found: readonly TopicMetadata[]): Promise<void> {
    const counts = new Map(found.map(({ partitionMetadata, topic }) => [topic, partitionMetadata.length]));
    const topicPartitions = specs
      .filter(({ topic, partitions }) => partitions > (counts.get(topic) ?? partitions))
      .map(({ topic, partitions }) => ({ topic, count: partitions }));
    if (topicPartitions.length > 0) await (await openAdmin()).createPartitions({ topicPartitions });
  }

  /** `alterConfigs` replaces the whole configuration of a topic, so what somebody else set there is sent along. */
  async function mendConfig(specs: readonly TopicSpec[]): Promise<void> {
    const type = kafkajs.ConfigResourceTypes.TOPIC;
    const described = await ask((controller) =>
      controller.describeConfigs({ resources: specs.map(({ topic }) => ({ type, name: topic })) }),
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
    if (resources.length > 0) await (await openAdmin()).alterConfigs({ validateOnly: false, resources });
  }

  return {
    async ensure(specs) {
      if (specs.length === 0) return;
      const names = specs.map(({ topic }) => topic);
      let found = await find(names);
      let present = specs;
      if (found === undefined) {
        const existing = await create(specs);
        await becomeReady(names);
        present = specs.filter(({ topic }) => existing.has(topic));
        found = present.length > 0 ? await find(present.map(({ topic }) => topic)) : [];
      }
      if (present.length === 0) return;
      await addPartitions(present, found ?? []);
      await mendConfig(present);
    },
    async deleteRecords(topic, before) {
      await askLeaders([topic], async (leader, led) => {
        const partitions = led
          .flatMap((one) => one.partitions)
          .flatMap((partition) => {
            const offset = before.get(partition);
            return offset === undefined ? [] : [{ partition, offset: offset.toString() }];
          });
        if (partitions.length > 0) await leader.deleteRecords({ topics: [{ topic, partitions }] });
      });
    },
    async close() {
      await cluster?.disconnect();
    },
  };
}

function ledByNode(topics: readonly TopicMetadata[]): Map<number, Led[]> {
  const nodes = new Map<number, Led[]>();
  for (const { partitionMetadata, topic } of topics) {
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

/** Of what the controller said, when some of the topics were there. @throws for any other reason that one was not made */
function existingOf(error: unknown): Set<string> {
  if (!(error instanceof kafkajs.KafkaJSAggregateError)) throw error;
  const refusals = error.errors as unknown as readonly (Error & { readonly topic: string })[];
  for (const refusal of refusals) {
    if (protocolErrorType(refusal) === "TOPIC_ALREADY_EXISTS") continue;
    throw new Error(`${refusal.topic}: ${refusal.message}`, { cause: refusal });
  }
  return new Set(refusals.map(({ topic }) => topic));
}
