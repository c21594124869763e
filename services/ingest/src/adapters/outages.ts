import { AppError } from "@pricing-engine/chassis/errors";
import { isKafkaOutage } from "@pricing-engine/kafka";
import { isPostgresOutage } from "@pricing-engine/postgres";
import { isRedisOutage } from "@pricing-engine/redis";

const outageCodes: ReadonlySet<string> = new Set([
  "unavailable",
  "deadline_exceeded",
  "commit_unknown",
  "postgres_unavailable",
  "redis_unavailable",
  "kafka_unavailable",
  "publish_unknown",
]);

/** Whether an error says that something of ours is away: worth waiting for, and nobody else's fault. */
export function isOutage(error: unknown): boolean {
  if (error instanceof AppError) return outageCodes.has(error.code);
  return isPostgresOutage(error) || isRedisOutage(error) || isKafkaOutage(error);
}
