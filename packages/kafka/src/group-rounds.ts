import { setTimeout as delay } from "node:timers/promises";
import type { Kafka as Client, GroupDescription } from "kafkajs";
import { backoffMs } from "./backoff.ts";
import { type GroupLook, type GroupOffsets, makeGroupLook } from "./group-look.ts";
import { type Cluster, makeCluster, type TopicOffsets } from "./kafkajs-cluster.ts";
import { protocolErrorType } from "./outage.ts";

export interface GroupQuestion {
  readonly groupId: string;
  /** In order. */
  readonly topics: readonly string[];
}

export interface GroupRounds {
  /** One round at a time. @throws when anything of it cannot be asked */
  ask(questions: readonly GroupQuestion[]): Promise<GroupLook[]>;
  close(): Promise<void>;
}

interface Remembered {
  readonly look: GroupLook;
  readonly ends: string;
  readonly atMs: number;
}

/** By topic, then partition. */
type Offsets = ReadonlyMap<string, ReadonlyMap<number, string>>;
type Descriptions = ReadonlyMap<string, GroupDescription>;

/**
 * A group that had read everything, and whose topics have not grown, still has: what it committed is asked for again after this
 * time, since a person may set it back.
 */
const trustMs = 20_000;
// Some 3 s: a new cluster makes the coordinators' own topic when it is first asked for one.
const maxCoordinatorAttempts = 8;
const coordinatorBackoff = { baseMs: 25, maxMs: 1_000 };

/**
 * A round asks for the ends of all topics at once and for all groups at once, and for what was committed only of groups that may
 * have something to read. On a connection of its own, opened by the first round.
 */
export function makeGroupRounds(client: Client): GroupRounds {
  const remembered = new Map<string, Remembered>();
  const coordinators = new Map<string, number>();
  let cluster: Cluster | undefined;

  async function connect(): Promise<Cluster> {
    cluster ??= makeCluster(client);
    await cluster.connect();
    return cluster;
  }

  /** A connection that hangs would be used for as long as nobody closes it. */
  function leave(): void {
    void cluster?.disconnect().catch(() => undefined);
    cluster = undefined;
  }

  async function round(questions: readonly GroupQuestion[]): Promise<GroupLook[]> {
    const connected = await connect();
    const topics = new Set(questions.flatMap((one) => one.topics));
    connected.targetTopics = topics;
    await connected.refreshMetadata();
    const [descriptions, ends] = await Promise.all([
      describe(connected, new Set(questions.map(({ groupId }) => groupId))),
      fetchOffsets(connected, topics, false),
    ]);
    const atMs = performance.now();
    for (const [key, one] of remembered) if (atMs - one.atMs > trustMs) remembered.delete(key);
    const trusted = questions.map((one) => findTrusted(one, ends, descriptions));
    const untrusted = questions.filter((_, index) => trusted[index] === undefined);
    const starts = await fetchOffsets(connected, new Set(untrusted.flatMap((one) => one.topics)), true);
    return await Promise.all(
      questions.map(async (question, index) => {
        const known = trusted[index];
        if (known !== undefined) return known;
        const committed = await fetchCommitted(connected, question);
        const partitions = toPartitions(question.topics, { starts, ends, committed });
        const look = makeGroupLook(descriptions.get(question.groupId), partitions);
        remembered.set(keyOf(question), { look, ends: writeEnds(question.topics, ends), atMs });
        return look;
      }),
    );
  }

  /** The last look, with today's members, where nothing can be behind. */
  function findTrusted(question: GroupQuestion, ends: Offsets, descriptions: Descriptions): GroupLook | undefined {
    const last = remembered.get(keyOf(question));
    if (last === undefined || last.ends !== writeEnds(question.topics, ends)) return undefined;
    if (last.look.partitions.some(({ lag }) => lag > 0n)) return undefined;
    return makeGroupLook(descriptions.get(question.groupId), last.look.partitions);
  }

  async function coordinatorOf(connected: Cluster, groupId: string): Promise<number> {
    const known = coordinators.get(groupId);
    if (known !== undefined) return known;
    const { coordinator } = await connected.findGroupCoordinatorMetadata({ groupId, coordinatorType: 0 });
    coordinators.set(groupId, coordinator.nodeId);
    return coordinator.nodeId;
  }

  async function describe(connected: Cluster, groupIds: ReadonlySet<string>): Promise<Descriptions> {
    const byNode = new Map<number, string[]>();
    for (const groupId of groupIds) {
      const nodeId = await coordinatorOf(connected, groupId);
      byNode.set(nodeId, [...(byNode.get(nodeId) ?? []), groupId]);
    }
    const answers = await Promise.all(
      [...byNode].map(async ([nodeId, some]) => {
        const broker = await connected.findBroker({ nodeId });
        return await broker.describeGroups({ groupIds: some });
      }),
    );
    return new Map(answers.flatMap(({ groups }) => groups).map((group) => [group.groupId, group]));
  }

  async function fetchCommitted(connected: Cluster, { groupId, topics }: GroupQuestion): Promise<Offsets> {
    const broker = await connected.findBroker({ nodeId: await coordinatorOf(connected, groupId) });
    const { responses } = await broker.offsetFetch({
      groupId,
      topics: topics.map((topic) => ({ topic, partitions: partitionsOf(connected, topic) })),
    });
    return toOffsets(responses);
  }

  return {
    async ask(questions) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await round(questions);
        } catch (error) {
          // A coordinator or a leader moved, or has just begun; what stands after that stands.
          coordinators.clear();
          remembered.clear();
          if (protocolErrorType(error) === undefined) leave();
          const most = isOfCoordinators(error) ? maxCoordinatorAttempts : 2;
          if (attempt >= most) throw error;
          await delay(backoffMs(attempt, coordinatorBackoff, Math.random()));
        }
      }
    },
    async close() {
      await cluster?.disconnect();
    },
  };
}

function isOfCoordinators(error: unknown): boolean {
  return (protocolErrorType(error) ?? "").includes("COORDINATOR");
}

/** Of questions that are the same. */
export const keyOf = ({ groupId, topics }: GroupQuestion): string => [groupId, ...topics].join("\n");

const partitionsOf = (cluster: Cluster, topic: string): { partition: number }[] =>
  cluster.findTopicPartitionMetadata(topic).map(({ partitionId: partition }) => ({ partition }));

async function fetchOffsets(cluster: Cluster, topics: ReadonlySet<string>, fromBeginning: boolean): Promise<Offsets> {
  if (topics.size === 0) return new Map();
  const wanted = [...topics].map((topic) => ({ topic, partitions: partitionsOf(cluster, topic), fromBeginning }));
  return toOffsets(await cluster.fetchTopicsOffset(wanted));
}

function toOffsets(topics: readonly TopicOffsets[]): Offsets {
  return new Map(
    topics.map(({ topic, partitions }) => [topic, new Map(partitions.map((one) => [one.partition, one.offset]))]),
  );
}

function sorted(offsets: ReadonlyMap<number, string> | undefined): [partition: number, offset: string][] {
  return [...(offsets ?? [])].sort(([a], [b]) => a - b);
}

function writeEnds(topics: readonly string[], ends: Offsets): string {
  return topics.map((topic) => sorted(ends.get(topic)).join(" ")).join("\n");
}

function toPartitions(
  topics: readonly string[],
  { committed, ends, starts }: { readonly committed: Offsets; readonly ends: Offsets; readonly starts: Offsets },
): GroupOffsets[] {
  return topics.flatMap((topic) =>
    sorted(ends.get(topic)).map(([partition, high]) => {
      const low = starts.get(topic)?.get(partition);
      if (low === undefined) throw new Error(`no start of ${topic}/${String(partition)}`);
      const offset = BigInt(committed.get(topic)?.get(partition) ?? -1);
      return { topic, partition, committed: offset < 0n ? undefined : offset, low: BigInt(low), high: BigInt(high) };
    }),
  );
}
