/** What the operator does at the servers of one engine, wherever that runs: topics and groups, tables and partitions, Redis. */
import { AppError } from "@pricing-engine/chassis/errors";
import type { Logger } from "@pricing-engine/chassis/log";
import { retryTopic } from "@pricing-engine/contracts";
import { type KafkaAccess, withGroupTopics } from "@pricing-engine/kafka";
import { makePool } from "@pricing-engine/postgres";
import { type GuardedRedis, makeRedis } from "@pricing-engine/redis";
import type { Runtime } from "../runtime/runtime.ts";
import { claimDatabase } from "./database-owner.ts";
import { lookAtGroup } from "./group-look.ts";
import type { KafkaAdmins } from "./kafka-admins.ts";
import { runPartitions } from "./partitions.ts";
import { purgeKeys, purgeTables, purgeTopics } from "./purge.ts";
import { countForReview, countWaiting } from "./waiting-work.ts";

export interface EngineServers
  extends Pick<
    Runtime,
    | "ensureTopics"
    | "pruneTopics"
    | "claimDatabase"
    | "ensurePartitions"
    | "lookAtGroup"
    | "countWaiting"
    | "countForReview"
  > {
  readonly redis: GuardedRedis;
  /** Deletes topics, groups, tables and keys. For good. */
  purge(): Promise<void>;
  close(): Promise<void>;
}

export interface EngineServersOptions {
  readonly namespace: string;
  readonly name: string;
  readonly kafka: KafkaAccess;
  readonly admins: KafkaAdmins;
  readonly postgresUrl: string;
  readonly redisUrl: string;
  readonly logger: Logger;
}

/** Connects when first asked. */
export function makeEngineServers(options: EngineServersOptions): EngineServers {
  const { logger } = options;
  const prefix = `${options.namespace}.${options.name}.`;
  const { admin, release } = options.admins.lend(options.kafka);
  const redis = makeRedis({ url: options.redisUrl, logger, name: `${prefix}operator` });
  const pool = makePool({ url: options.postgresUrl, max: 2, applicationName: `${prefix}operator`, logger });
  return {
    redis,
    async ensureTopics(topics) {
      await admin.ensureTopics(topics.flatMap(({ groups, ...topic }) => withGroupTopics(topic, [...groups])));
    },
    async pruneTopics(topics) {
      for (const { groups, topic } of topics) {
        if (groups.length === 0) continue;
        await admin.deleteCommittedRecords(topic, [...groups]);
        for (const group of groups) await admin.deleteCommittedRecords(retryTopic(topic, group), [group]);
      }
    },
    async claimDatabase() {
      const engine = `${options.namespace}/${options.name}`;
      const owner = await claimDatabase(pool, engine);
      return owner === engine ? undefined : owner;
    },
    async ensurePartitions(plans) {
      const reports = [];
      for (const { table, spec } of plans)
        reports.push(...(await runPartitions(pool, [table], spec, Date.now, { logger })));
      for (const { table, failures, problems, aheadUntilMs } of reports) {
        const failed = failures.map(({ action, error }) => `${action.kind} ${action.name}: ${String(error)}`);
        const odd = problems.map(({ name, problem }) => `${name}: ${problem}`);
        if (failed.length + odd.length > 0 || aheadUntilMs === undefined) {
          const what = [...failed, ...odd].join("; ") || "no partition for now";
          throw new AppError("internal", { detail: `partitions of ${table}: ${what}` });
        }
      }
      return reports.map(({ table, months, aheadUntilMs }) => ({
        table,
        months,
        aheadUntil: new Date(aheadUntilMs ?? 0).toISOString(),
      }));
    },
    lookAtGroup: (group) => lookAtGroup(admin, group),
    countWaiting: (role, settings) => countWaiting(pool, role, settings),
    countForReview: () => countForReview(pool),
    async purge() {
      await purgeTopics(admin, prefix);
      await purgeTables(pool, `${options.namespace}/${options.name}`);
      await purgeKeys(redis, prefix);
    },
    async close() {
      await Promise.allSettled([release(), redis.close(), pool.close()]);
    },
  };
}
