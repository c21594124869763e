import { AppError } from "@pricing-engine/chassis/errors";
import { counter } from "@pricing-engine/chassis/metrics";
import { isKafkaOutage } from "@pricing-engine/kafka";
import { isPostgresOutage } from "@pricing-engine/postgres";

const partitionMissing = counter({
  name: "pricing_engine_orders_partition_missing_total",
  help: "Orders that are not taken because their month has no partition.",
});

const outageCodes: ReadonlySet<string> = new Set([
  "unavailable",
  "deadline_exceeded",
  "commit_unknown",
  "postgres_unavailable",
  "redis_unavailable",
  "kafka_unavailable",
  "publish_unknown",
]);

/** Whether an error says that something we stand on is away: worth waiting for, and never an attempt. */
export function isOutage(error: unknown): boolean {
  if (error instanceof AppError) return outageCodes.has(error.code);
  return isPostgresOutage(error) || isKafkaOutage(error);
}

/**
 * A row without a partition is never the row's fault: it is not taken for now, and somebody is told.
 * @throws AppError `unavailable` in its place; others as they are.
 */
export function rethrowMissingPartition(error: unknown): never {
  // A check violation like others, told from them by where the server raised it.
  if (!(error instanceof Error && "routine" in error && error.routine === "ExecFindPartition")) throw error;
  partitionMissing.inc();
  throw new AppError("unavailable", { cause: error, detail: "there is no partition for orders of this month yet" });
}
