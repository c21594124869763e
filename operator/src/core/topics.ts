import { groupName, retryTopic, topicName, topics } from "@pricing-engine/contracts";
import type { PricingEngine } from "../api/resource.ts";
import { orderStages } from "./order-stages.ts";

export interface TopicPlan {
  readonly topic: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  /** `forever`: commands wait for their consumer however long it is away. `compact`: the last record per key. */
  readonly keep: "forever" | "compact";
  /** Consumer groups, each with a retry and a dead-letter topic beside this one. */
  readonly groups: readonly string[];
}

/** What each group reads: commands, kept until it has done with them. */
const topicsOfGroups: Readonly<Record<string, readonly string[]>> = {
  "pricing-worker": [topics.marketEvents, topics.recalculations],
  "ingest-worker": [topics.catalogEvents],
  "payment-worker": [topics.payments],
  "payment-controls": [topics.paymentControls],
  "orders-inventory": [topics.orderInventory],
  "orders-payment": [topics.orderPayment, topics.paymentEvents],
  "orders-fulfillment": [topics.orderFulfillment],
  "orders-notification": [topics.orderNotification],
};

/** Every topic of the sections that run. */
export function planTopics({ spec }: PricingEngine, prefix: string): readonly TopicPlan[] {
  const { partitions, replicationFactor } = spec.kafka?.topics ?? { partitions: 12, replicationFactor: 1 };
  const shape = { partitions, replicationFactor };
  const commandsOf = (group: string): TopicPlan[] =>
    (topicsOfGroups[group] ?? []).map((name) => {
      return { topic: topicName(prefix, name), ...shape, keep: "forever", groups: [groupName(prefix, group)] };
    });
  const planned: TopicPlan[] = [];
  if (spec.ingest !== undefined) planned.push(...commandsOf("ingest-worker"));
  if (spec.pricing !== undefined) {
    planned.push({ topic: topicName(prefix, topics.priceChanges), ...shape, keep: "compact", groups: [] });
    planned.push(...commandsOf("pricing-worker"));
  }
  if (spec.payment !== undefined) {
    planned.push(...commandsOf("payment-worker"), ...commandsOf("payment-controls"));
  }
  if (spec.orders !== undefined) {
    // For whoever outside wants to follow orders.
    planned.push({ topic: topicName(prefix, topics.orders), ...shape, keep: "compact", groups: [] });
    for (const stage of orderStages) planned.push(...commandsOf(`orders-${stage}`));
  } else if (spec.payment !== undefined) {
    // The payment worker tells what orders of earlier days have come to, also when none are taken any more.
    planned.push({ topic: topicName(prefix, topics.paymentEvents), ...shape, keep: "forever", groups: [] });
  }
  return planned;
}

/** A consumer group and what it reads, by their full names. */
export interface GroupPlan {
  readonly name: string;
  readonly commands: readonly string[];
  /** What waits there does so for a while on purpose. */
  readonly retries: readonly string[];
}

export function planGroup(group: string, prefix: string): GroupPlan {
  const name = groupName(prefix, group);
  const commands = (topicsOfGroups[group] ?? []).map((topic) => topicName(prefix, topic));
  return { name, commands, retries: commands.map((topic) => retryTopic(topic, name)) };
}
