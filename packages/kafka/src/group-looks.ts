import { setTimeout as delay } from "node:timers/promises";
import type { Kafka as Client } from "kafkajs";
import type { GroupLook } from "./group-look.ts";
import { type GroupQuestion, keyOf, makeGroupRounds } from "./group-rounds.ts";
import { protocolErrorType } from "./outage.ts";

/** Looks at many groups with few requests. */
export interface GroupLooks {
  /** @throws when anything of it cannot be asked */
  look(groupId: string, topics: readonly string[]): Promise<GroupLook>;
  close(): Promise<void>;
}

interface Waiting extends GroupQuestion {
  resolve(look: GroupLook): void;
  reject(error: unknown): void;
}

/**
 * Those who ask within `gatherMs` of each other, or while others are being answered, are answered by the same requests. One that
 * makes them fail (a topic is missing) is asked by itself, on a connection of its own, until it is well again: what is wrong with
 * one group is no other's trouble.
 */
export function makeGroupLooks(client: Client, gatherMs = 0): GroupLooks {
  const closing = new AbortController();
  const rounds = makeGroupRounds(client);
  const roundsOfOne = makeGroupRounds(client);
  const troubled = new Set<string>();
  const waiting = { well: [] as Waiting[], troubled: [] as Waiting[] };
  const running: { well?: Promise<void> | undefined; troubled?: Promise<void> | undefined } = {};

  async function answerTheWell(): Promise<void> {
    while (waiting.well.length > 0) {
      // Closed meanwhile: nobody waits for company.
      await delay(gatherMs, undefined, { signal: closing.signal }).catch(() => undefined);
      await answerTogether(waiting.well.splice(0));
    }
    running.well = undefined;
  }

  async function answerTogether(asked: readonly Waiting[]): Promise<void> {
    try {
      const looks = await rounds.ask(asked);
      for (const [index, one] of asked.entries()) one.resolve(looks[index] as GroupLook);
    } catch (error) {
      if (protocolErrorType(error) === undefined) {
        // Kafka is away: for all of them.
        for (const one of asked) one.reject(error);
      } else if (asked.length === 1) {
        for (const one of asked) askByItself(one);
      } else {
        const middle = Math.ceil(asked.length / 2);
        await answerTogether(asked.slice(0, middle));
        await answerTogether(asked.slice(middle));
      }
    }
  }

  async function answerTheTroubled(): Promise<void> {
    for (let one = waiting.troubled.shift(); one !== undefined; one = waiting.troubled.shift()) {
      try {
        const [look] = await roundsOfOne.ask([one]);
        troubled.delete(keyOf(one));
        one.resolve(look as GroupLook);
      } catch (error) {
        one.reject(error);
      }
    }
    running.troubled = undefined;
  }

  function askByItself(one: Waiting): void {
    troubled.add(keyOf(one));
    waiting.troubled.push(one);
    running.troubled ??= answerTheTroubled();
  }

  return {
    look(groupId, topics) {
      if (closing.signal.aborted) return Promise.reject(new Error("the admin client is closed"));
      return new Promise((resolve, reject) => {
        const one = { groupId, topics: topics.toSorted(), resolve, reject };
        if (troubled.has(keyOf(one))) askByItself(one);
        else {
          waiting.well.push(one);
          running.well ??= answerTheWell();
        }
      });
    },
    async close() {
      closing.abort();
      await running.well;
      await running.troubled;
      await Promise.all([rounds.close(), roundsOfOne.close()]);
    },
  };
}
