import { AppError } from "@pricing-engine/chassis/errors";
import { counter } from "@pricing-engine/chassis/metrics";
import { findSqlState } from "@pricing-engine/postgres";

const partitionMissing = counter({
  name: "pricing_engine_payment_partition_missing_total",
  help: "Writes of payments that wait because their month has no partition.",
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
  throw new AppError("unavailable", { cause: error, detail: "there is no partition for payments of this month yet" });
}

/**
 * Whether a message itself is at fault. Everything else waits and is tried again, a bug of ours as well: what was accepted must
 * not end with the dead letters because of us.
 */
export function isMessageFault(error: unknown): boolean {
  if (error instanceof AppError) return error.code === "invalid_message";
  // Data that Postgres cannot hold.
  return /^2[23]/.test(findSqlState(error) ?? "");
}
