import { AppError } from "@pricing-engine/chassis/errors";
import { counter } from "@pricing-engine/chassis/metrics";
import { isKafkaOutage } from "@pricing-engine/kafka";
import { isPostgresOutage } from "@pricing-engine/postgres";
import { isRedisOutage } from "@pricing-engine/redis";

const partitionMissing = counter({
  name: "pricing_engine_partition_missing_total",
  help: "Prices that wait because their month has no partition.",
});

/** What Postgres says of a row for which no partition is there: a check violation, told from others by where it was raised. */
function isMissingPartition(error: unknown): boolean {
  return error instanceof Error && "routine" in error && error.routine === "ExecFindPartition";
}

/**
 * A row without a partition is never the row's fault: it waits, and somebody is told.
 * @throws AppError `unavailable` in its place; others as they are.
 */
export function rethrowWaiting(error: unknown): never {
  if (!isMissingPartition(error)) throw error;
  partitionMissing.inc();
  throw new AppError("unavailable", { cause: error, detail: "the price history has no partition for this month yet" });
}

const outageCodes: ReadonlySet<string> = new Set([
  "unavailable",
  "deadline_exceeded",
  "commit_unknown",
  "postgres_unavailable",
  "redis_unavailable",
  "kafka_unavailable",
  "publish_unknown",
]);

/** Whether an error says that something we stand on is away: worth waiting for, and no attempt of the message. */
export function isOutage(error: unknown): boolean {
  if (error instanceof AppError) return outageCodes.has(error.code);
  return isPostgresOutage(error) || isKafkaOutage(error) || isRedisOutage(error);
}
