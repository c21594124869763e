import type { Logger } from "@pricing-engine/chassis/log";
import { type KafkaAccess, type KafkaAdmin, makeKafka, makeKafkaAdmin } from "@pricing-engine/kafka";

export interface LentAdmin {
  readonly admin: KafkaAdmin;
  /** The last one to release it closes it. */
  release(): Promise<void>;
}

/**
 * One client for each Kafka cluster, for all engines that come to it with the same credentials: connections do not grow with
 * engines, and nobody is let in on what another engine knows.
 */
export interface KafkaAdmins {
  /** Connects when first used. */
  lend(access: KafkaAccess): LentAdmin;
}

/** Loops that were answered together come again together: some rounds a second for any number of engines. */
const gatherLooksMs = 200;

export function makeKafkaAdmins(logger: Logger): KafkaAdmins {
  const open = new Map<string, { readonly admin: KafkaAdmin; users: number }>();

  function openAdmin(access: KafkaAccess): KafkaAdmin {
    const part = logger.child({ part: "kafka" });
    return makeKafkaAdmin({
      gatherLooksMs,
      kafka: makeKafka({ ...access, clientId: "pricing-engine-operator", logger: part }),
    });
  }

  return {
    lend(access) {
      const { brokers, sasl, tls = false } = access;
      const key = JSON.stringify([brokers.toSorted(), tls, sasl?.mechanism, sasl?.username, sasl?.password]);
      const shared = open.get(key) ?? { admin: openAdmin(access), users: 0 };
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
