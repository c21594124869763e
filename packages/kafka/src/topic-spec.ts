import { deadLetterTopic, retryTopic } from "@pricing-engine/contracts";

export interface TopicSpec {
  topic: string;
  partitions: number;
  replicationFactor: number;
  /** `forever`: no time retention (commands, retries, dead letters). `compact`: the last record per key. */
  keep: "forever" | "compact";
  /** Default the broker's (1 MiB). */
  maxMessageBytes?: number;
}

/** The topic and what each of its consumer groups needs beside it. Dead letters are few: one partition keeps them in order. */
export function withGroupTopics(spec: TopicSpec, groupIds: string[]): TopicSpec[] {
  const { partitions, replicationFactor } = spec;
  // A copy is larger than its original by our headers, and must never be refused.
  const copy = { replicationFactor, keep: "forever" as const, maxMessageBytes: 2 * 1024 * 1024 };
  return [
    spec,
    ...groupIds.flatMap((groupId) => [
      { ...copy, topic: retryTopic(spec.topic, groupId), partitions },
      { ...copy, topic: deadLetterTopic(spec.topic, groupId), partitions: 1 },
    ]),
  ];
}

/** The configuration that a topic must have; everything else is left as it is. */
export function topicConfig({ keep, replicationFactor, maxMessageBytes }: TopicSpec): Record<string, string> {
  return {
    ...(keep === "compact"
      ? { "cleanup.policy": "compact" }
      : { "cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1" }),
    ...(replicationFactor >= 3 ? { "min.insync.replicas": "2", "unclean.leader.election.enable": "false" } : {}),
    ...(maxMessageBytes === undefined ? {} : { "max.message.bytes": String(maxMessageBytes) }),
  };
}

/** Records between what the group committed and the end; no commit counts as 0; clamped to what the log still holds. */
export function lagOf(committed: bigint | undefined, low: bigint, high: bigint): bigint {
  const from = committed === undefined || committed < low ? low : committed;
  return from > high ? 0n : high - from;
}
