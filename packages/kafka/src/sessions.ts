import { setTimeout as delay } from "node:timers/promises";
import type { Kafka as Client } from "kafkajs";
import { backoffMs } from "./backoff.ts";
import { type Broker, type Cluster, makeCluster } from "./kafkajs-cluster.ts";
import { isKafkaOutage, protocolErrorType } from "./outage.ts";
import { makeRenewable } from "./renewable.ts";

/** Questions to a cluster, on one connection as long as that is good. */
export interface Sessions {
  /**
   * Asks any broker, again where waiting helps; from the second time on perhaps another one.
   *
   * @throws at once when no broker lets us in, else after some 10 s
   */
  ask<T>(question: (broker: Broker, cluster: Cluster) => Promise<T>): Promise<T>;
  /** After what is being asked has ended. */
  close(): Promise<void>;
}

const patienceMs = 10_000;
const backoff = { baseMs: 25, maxMs: 1_000 };

/** What a broker says of a topic that was just made or has just moved. */
const ofTopics = new Set(["UNKNOWN_TOPIC_OR_PARTITION", "LEADER_NOT_AVAILABLE", "NOT_LEADER_FOR_PARTITION"]);

/** Whether the connection is good, and the broker to be believed: for ever it is not, when it says that something will come. */
function isAnswer(error: unknown, isInVain: boolean): boolean {
  const type = protocolErrorType(error);
  return type !== undefined && !isInVain && (!isKafkaOutage(error) || ofTopics.has(type));
}

export function makeSessions(client: Client): Sessions {
  const asking = new Set<Promise<unknown>>();
  const clusters = makeRenewable(
    () => makeCluster(client),
    (cluster) => cluster.disconnect(),
  );
  let isClosed = false;

  async function askUntil<T>(question: (broker: Broker, cluster: Cluster) => Promise<T>): Promise<T> {
    const untilMs = performance.now() + patienceMs;
    for (let attempt = 1; ; attempt += 1) {
      if (isClosed) throw new Error("the admin client is closed");
      const answer = await clusters.use(async (cluster, abandon) => {
        let isIn = false;
        try {
          await cluster.connect();
          isIn = true;
          return { value: await question(await cluster.brokerPool.findConnectedBroker(), cluster) };
        } catch (error) {
          const isOutage = isKafkaOutage(error);
          const isOver = !isOutage || !isIn || (attempt > 1 && performance.now() >= untilMs);
          // A connection that hangs would be used for as long as nobody closes it.
          if (!isAnswer(error, isOutage && isOver)) abandon();
          if (isOver) throw error;
          return undefined;
        }
      });
      if (answer !== undefined) return answer.value;
      await delay(backoffMs(attempt, backoff, Math.random()));
    }
  }

  return {
    ask(question) {
      const answer = askUntil(question);
      const ended = answer.then(
        () => undefined,
        () => undefined,
      );
      asking.add(ended);
      void ended.then(() => asking.delete(ended));
      return answer;
    },
    async close() {
      isClosed = true;
      await Promise.all(asking);
      await clusters.close();
    },
  };
}
