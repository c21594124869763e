import kafkajs, { type Admin, type GroupDescription } from "kafkajs";
import { lagOf } from "./topic-spec.ts";

export interface GroupPartition {
  topic: string;
  partition: number;
  /** The next offset that the group reads; undefined when it never committed. */
  committed: bigint | undefined;
  low: bigint;
  high: bigint;
  lag: bigint;
  /** Who reads it; undefined while nobody does, or the group is about to change. */
  memberId: string | undefined;
}

export interface GroupLook {
  /** `empty`: nobody is in it, or it has never been. */
  state: "stable" | "rebalancing" | "empty";
  /** By topic, then partition: the order in which our assigner deals them. */
  partitions: GroupPartition[];
}

/** A group with its offsets and members, at about one moment. @throws when anything of it cannot be asked */
export async function lookAtGroup(admin: Admin, groupId: string, topics: readonly string[]): Promise<GroupLook> {
  const sorted = topics.toSorted();
  const [{ groups }, offsets, logs] = await Promise.all([
    admin.describeGroups([groupId]),
    admin.fetchOffsets({ groupId, topics: sorted }),
    Promise.all(sorted.map(async (topic) => ({ topic, log: await admin.fetchTopicOffsets(topic) }))),
  ]);
  const state = stateOf(groups.find((group) => group.groupId === groupId));
  const readers = readersOf(groups.flatMap(({ members }) => members));
  const committed = new Map(
    offsets.flatMap(({ topic, partitions }) => partitions.map((one) => [`${topic}/${one.partition}`, one.offset])),
  );
  const partitions = logs.flatMap(({ topic, log }) =>
    log
      .toSorted((a, b) => a.partition - b.partition)
      .map(({ partition, low: first, high: next }) => {
        const key = `${topic}/${partition}`;
        const offset = BigInt(committed.get(key) ?? -1);
        const [low, high] = [BigInt(first), BigInt(next)];
        const known = offset < 0n ? undefined : offset;
        const memberId = state === "stable" ? readers.get(key) : undefined;
        return { topic, partition, committed: known, low, high, lag: lagOf(known, low, high), memberId };
      }),
  );
  return { state, partitions };
}

function stateOf(group: GroupDescription | undefined): GroupLook["state"] {
  switch (group?.state) {
    case "Stable":
      return "stable";
    case "PreparingRebalance":
    case "CompletingRebalance":
      return "rebalancing";
    case "Empty":
    case "Dead":
    case undefined:
      return "empty";
    default:
      throw new Error(`${group?.groupId} is in the state ${group?.state}`);
  }
}

function readersOf(members: GroupDescription["members"]): Map<string, string> {
  return new Map(
    members.flatMap(({ memberAssignment, memberId }) => {
      const decoded = kafkajs.AssignerProtocol.MemberAssignment.decode(memberAssignment);
      return Object.entries(decoded?.assignment ?? {}).flatMap(([topic, partitions]) =>
        partitions.map((partition) => [`${topic}/${partition}`, memberId] as const),
      );
    }),
  );
}
