import { AppError } from "@pricing-engine/chassis/errors";
import { protocolErrorType, rootCause } from "./outage.ts";

// The request never left, or the whole of it was refused before anything was written.
const nothingWrittenNames = new Set([
  "KafkaJSNoBrokerAvailableError",
  "KafkaJSBrokerNotFound",
  "KafkaJSMetadataNotLoaded",
  "KafkaJSTopicMetadataNotLoaded",
  "KafkaJSSASLAuthenticationError",
  "KafkaJSLockTimeout",
]);
const nothingWrittenTypes = new Set([
  "UNKNOWN_TOPIC_OR_PARTITION",
  "LEADER_NOT_AVAILABLE",
  "INVALID_TOPIC_EXCEPTION",
  "TOPIC_AUTHORIZATION_FAILED",
  "CLUSTER_AUTHORIZATION_FAILED",
]);
const connectCodes = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);
/** The broker's certificate was refused: the handshake did not end, and nothing is sent before that. */
const certificateCodes = /^(?:CERT_|DEPTH_ZERO_SELF_SIGNED_|SELF_SIGNED_CERT_|UNABLE_TO_|ERR_TLS_CERT_)/;

/**
 * Whether an attempt that failed like this certainly wrote nothing. In doubt, no. `partitions`: how many the request
 * went to. A refusal by one of several says nothing about the others, and kafkajs reports only the first.
 */
export function wroteNothing(error: unknown, partitions: number): boolean {
  const cause = rootCause(error);
  if (!(cause instanceof Error)) return false;
  if (nothingWrittenNames.has(cause.name)) return true;
  const type = protocolErrorType(cause);
  if (type !== undefined && nothingWrittenTypes.has(type)) return partitions <= 1;
  if (cause.name !== "KafkaJSConnectionError") return false;
  const code = "code" in cause ? String(cause.code) : "";
  return connectCodes.has(code) || certificateCodes.test(code) || cause.message.startsWith("Connection timeout");
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
