import kafkajs, { type Assigner, type GroupMember, type PartitionAssigner } from "kafkajs";

const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol;
const name = "pricing-engine-by-subscription";
const version = 1;

export interface Subscriber {
  memberId: string;
  topics: string[];
}

/**
 * Deals the partitions of every topic round robin to the members that subscribe to it. kafkajs's own assigner deals to
 * all members: during a rollout that adds a topic, its partitions could go to a member that does not read them. Pure.
 */
export function assignPartitions(
  subscribers: Subscriber[],
  partitionsOf: (topic: string) => number[],
): Map<string, Record<string, number[]>> {
  const members = subscribers.toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1));
  const assignment = new Map<string, Record<string, number[]>>(members.map(({ memberId }) => [memberId, {}]));
  let turn = 0;
  for (const topic of [...new Set(members.flatMap(({ topics }) => topics))].sort()) {
    const readers = members.filter(({ topics }) => topics.includes(topic));
    for (const partition of partitionsOf(topic)) {
      const reader = readers[turn % readers.length];
      turn += 1;
      const own = reader === undefined ? undefined : assignment.get(reader.memberId);
      if (own !== undefined) own[topic] = [...(own[topic] ?? []), partition];
    }
  }
  return assignment;
}

export const bySubscription: PartitionAssigner = ({ cluster }): Assigner => ({
  name,
  version,
  async assign({ members }) {
    const assignment = assignPartitions(members.map(subscriberOf), (topic) =>
      cluster
        .findTopicPartitionMetadata(topic)
        .map(({ partitionId }) => partitionId)
        .sort((a, b) => a - b),
    );
    return [...assignment].map(([memberId, own]) => ({
      memberId,
      memberAssignment: MemberAssignment.encode({ version, assignment: own, userData: Buffer.alloc(0) }),
    }));
  },
  protocol: ({ topics }) => ({
    name,
    metadata: MemberMetadata.encode({ version, topics, userData: Buffer.alloc(0) }),
  }),
});

function subscriberOf({ memberId, memberMetadata }: GroupMember): Subscriber {
  return { memberId, topics: MemberMetadata.decode(memberMetadata)?.topics ?? [] };
}
