import kafkajs, { type GroupDescription } from "kafkajs";
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

/** Where a group is in one partition. */
export type GroupOffsets = Pick<GroupPartition, "topic" | "partition" | "committed" | "low" | "high">;

/** A group with its offsets and members, at about one moment. @param partitions by topic, then partition */
export function makeGroupLook(group: GroupDescription | undefined, partitions: readonly GroupOffsets[]): GroupLook {
  const state = stateOf(group);
  const readers = readersOf(group?.members ?? []);
  return {
    state,
    partitions: partitions.map(({ topic, partition, committed, low, high }) => ({
      ...{ topic, partition, committed, low, high },
      lag: lagOf(committed, low, high),
      memberId: state === "stable" ? readers.get(`${topic}/${partition}`) : undefined,
    })),
  };
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
