import { AppError } from "@pricing-engine/chassis/errors";
import { protocolErrorType } from "./outage.ts";

/** Said before anything of a partition is written. */
const nothingWrittenTypes = new Set([
  "UNKNOWN_TOPIC_OR_PARTITION",
  "LEADER_NOT_AVAILABLE",
  "INVALID_TOPIC_EXCEPTION",
  "TOPIC_AUTHORIZATION_FAILED",
  "CLUSTER_AUTHORIZATION_FAILED",
]);
/**
 * Whether a request that was sent, and failed like this, certainly wrote nothing. In doubt, no: a refusal of one of several partitions says
 * nothing about the others, since kafkajs reports only the first.
 */
export function wroteNothing(error: unknown, partitions: number): boolean {
  const type = protocolErrorType(error);
  return type !== undefined && nothingWrittenTypes.has(type) && partitions <= 1;
}

/** Errors that no waiting heals. */
export function isPermanent(error: unknown): boolean {
  const type = protocolErrorType(error);
  return type === "MESSAGE_TOO_LARGE" || type === "INVALID_RECORD" || type === "TOPIC_AUTHORIZATION_FAILED";
}

/** What `send` rejects with: certainly not written (`kafka_unavailable`), or perhaps written (`publish_unknown`). */
export function publishError(topic: string, cause: unknown, unknown: boolean): AppError {
  return new AppError(unknown ? "publish_unknown" : "kafka_unavailable", {
    cause,
    context: { topic },
    ...(isPermanent(cause) ? { retryable: false } : {}),
  });
}
