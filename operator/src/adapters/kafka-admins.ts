import type { Logger } from "@pricing-engine/chassis/log";
import { type KafkaAdmin, makeKafka, makeKafkaAdmin } from "@pricing-engine/kafka";

export interface LentAdmin {
  readonly admin: KafkaAdmin;
  /** The last one to release it closes it. */
  release(): Promise<void>;
}

/** One client for each Kafka cluster, for all engines on it: connections do not grow with them. */
export interface KafkaAdmins {
  /** Connects when first used. */
  lend(brokers: readonly string[]): LentAdmin;
}

export function makeKafkaAdmins(logger: Logger): KafkaAdmins {
  const open = new Map<string, { readonly admin: KafkaAdmin; users: number }>();

  function openAdmin(brokers: readonly string[]): KafkaAdmin {
    const part = logger.child({ part: "kafka" });
    return makeKafkaAdmin({
      kafka: makeKafka({ brokers: [...brokers], clientId: "pricing-engine-operator", logger: part }),
    });
  }

  return {
    lend(brokers) {
      const key = brokers.toSorted().join(",");
      const shared = open.get(key) ?? { admin: openAdmin(brokers), users: 0 };
      open.set(key, shared);
      shared.users++;
      let isReleased = false;
      return {
        admin: shared.admin,
        async release() {
          if (isReleased) return;
          isReleased = true;
          shared.users--;
          if (shared.users > 0) return;
          open.delete(key);
          await shared.admin.close();
        },
      };
    },
  };
}
