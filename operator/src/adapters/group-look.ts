import type { KafkaAdmin, GroupLook as KafkaLook } from "@pricing-engine/kafka";
import type { GroupLook } from "../core/scale.ts";
import type { GroupPlan } from "../core/topics.ts";

/** A group as the scaling core sees it. @throws when it cannot be asked whole */
export async function lookAtGroup(admin: Pick<KafkaAdmin, "groupLook">, group: GroupPlan): Promise<GroupLook> {
  return toGroupLook(await admin.groupLook(group.name, [...group.commands, ...group.retries]), group);
}

function toGroupLook({ state, partitions }: KafkaLook, { retries }: GroupPlan): GroupLook {
  return {
    group: state,
    partitions: partitions.map(({ topic, partition, high, lag, memberId }) => {
      const end = Number(high);
      const isRetry = retries.includes(topic);
      return { key: `${topic}/${partition}`, end, committed: end - Number(lag), member: memberId, isRetry };
    }),
  };
}
