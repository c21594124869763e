import type {
  Kafka as Client,
  DescribeConfigResponse,
  GroupDescription,
  IResourceConfig,
  ITopicConfig,
  ResourceConfigQuery,
} from "kafkajs";

/** What kafkajs' clients stand on: several topics or groups in one request, which its own `Admin` asks for one by one. */
export interface Cluster {
  /** Those that `refreshMetadata` asks for. */
  targetTopics: Set<string>;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  refreshMetadata(): Promise<void>;
  findTopicPartitionMetadata(topic: string): { partitionId: number }[];
  findGroupCoordinatorMetadata(options: { groupId: string; coordinatorType: 0 }): Promise<{
    coordinator: { nodeId: number };
  }>;
  brokerPool: {
    /** Of the last refresh; none before the first. */
    metadata: object | null | undefined;
    /** Any, of those in the metadata; before the first refresh the one that let us in. */
    findConnectedBroker(): Promise<Broker>;
  };
  findBroker(options: { nodeId: number }): Promise<Broker>;
  /** One request for each broker that leads any of them. */
  fetchTopicsOffset(
    topics: { topic: string; partitions: { partition: number }[]; fromBeginning: boolean }[],
  ): Promise<TopicOffsets[]>;
}

export interface TopicOffsets {
  topic: string;
  partitions: { partition: number; offset: string }[];
}

/** Its calls throw when any of what they ask for is refused. */
export interface Broker {
  metadata(topics: readonly string[]): Promise<{
    topicMetadata: { topic: string; partitionMetadata: { partitionId: number; leader: number }[] }[];
  }>;
  /** @throws KafkaJSAggregateError with a KafkaJSCreateTopicError for each that was not made; the others are */
  createTopics(options: { topics: ITopicConfig[] }): Promise<unknown>;
  createPartitions(options: { topicPartitions: { topic: string; count: number }[] }): Promise<unknown>;
  alterConfigs(options: { resources: IResourceConfig[] }): Promise<unknown>;
  describeConfigs(options: { resources: ResourceConfigQuery[] }): Promise<DescribeConfigResponse>;
  deleteRecords(options: {
    topics: { topic: string; partitions: { partition: number; offset: string }[] }[];
  }): Promise<unknown>;
  listOffsets(options: {
    topics: { topic: string; partitions: { partition: number; timestamp: number }[] }[];
  }): Promise<unknown>;
  describeGroups(options: { groupIds: readonly string[] }): Promise<{ groups: GroupDescription[] }>;
  offsetFetch(options: { groupId: string; topics: { topic: string; partitions: { partition: number }[] }[] }): Promise<{
    responses: TopicOffsets[];
  }>;
}

/** kafkajs 2.2 has it behind a symbol. Opens nothing by itself. */
export function makeCluster(client: Client): Cluster {
  const symbol = Object.getOwnPropertySymbols(client).find(({ description }) => description === createCluster);
  const make = symbol && (client as unknown as Record<symbol, (options: object) => Cluster>)[symbol];
  if (make === undefined) throw new Error(`this kafkajs has no ${createCluster}`);
  return make({ allowAutoTopicCreation: false });
}

const createCluster = "private:Kafka:createCluster";
