import { setTimeout as delay } from "node:timers/promises";
import type { Kafka as Client } from "kafkajs";
import { backoffMs } from "./backoff.ts";
import { type Broker, type Cluster, makeCluster } from "./kafkajs-cluster.ts";
import { isKafkaOutage, protocolErrorType } from "./outage.ts";

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

interface Session {
  readonly cluster: Cluster;
  users: number;
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
  let current: Session | undefined;
  let isClosed = false;

  function enter(): Session {
    if (isClosed) throw new Error("the admin client is closed");
    current ??= { cluster: makeCluster(client), users: 0 };
    current.users += 1;
    return current;
  }

  /** A connection that hangs would be used for as long as nobody closes it: who comes next begins with another. */
  function abandon(session: Session): void {
    if (current === session) current = undefined;
  }

  async function leave(session: Session): Promise<void> {
    session.users -= 1;
    if (session !== current && session.users === 0) await session.cluster.disconnect().catch(() => undefined);
  }

  async function askUntil<T>(question: (broker: Broker, cluster: Cluster) => Promise<T>): Promise<T> {
    const untilMs = performance.now() + patienceMs;
    for (let attempt = 1; ; attempt += 1) {
      const session = enter();
      const { cluster } = session;
      let isIn = false;
      try {
        await cluster.connect();
        isIn = true;
        return await question(await cluster.brokerPool.findConnectedBroker(), cluster);
      } catch (error) {
        const isOutage = isKafkaOutage(error);
        const isOver = !isOutage || !isIn || (attempt > 1 && performance.now() >= untilMs);
        if (!isAnswer(error, isOutage && isOver)) abandon(session);
        if (isOver) throw error;
      } finally {
        await leave(session);
      }
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
      const last = current;
      current = undefined;
      await last?.cluster.disconnect();
    },
  };
}
