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
/** Of nothing but the attempt to connect. */
const connectCodes = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"]);
/** The kernel's last word on a connection with requests under way as well; Node says which in its message. */
const routeCodes = new Set(["EHOSTUNREACH", "ENETUNREACH"]);
/** The broker's certificate was refused: the handshake did not end, and nothing is sent before that. */
const certificateCodes = /^(?:CERT_|DEPTH_ZERO_SELF_SIGNED_|SELF_SIGNED_CERT_|UNABLE_TO_|ERR_TLS_CERT_)/;

/**
 * Whether an attempt that failed like this certainly wrote nothing. In doubt, no. A refusal by one of several brokers or partitions that the
 * attempt went to says nothing about the others, and kafkajs reports only the first.
 */
export function wroteNothing(
  error: unknown,
  attempted: { readonly partitions: number; readonly brokers: number },
): boolean {
  const cause = rootCause(error);
  if (!(cause instanceof Error) || attempted.brokers > 1) return false;
  if (nothingWrittenNames.has(cause.name)) return true;
  const type = protocolErrorType(cause);
  if (type !== undefined && nothingWrittenTypes.has(type)) return attempted.partitions <= 1;
  if (cause.name !== "KafkaJSConnectionError") return false;
  const { message } = cause;
  const code = "code" in cause ? String(cause.code) : "";
  if (routeCodes.has(code)) return message.startsWith("Connection error: connect ");
  return connectCodes.has(code) || certificateCodes.test(code) || message.startsWith("Connection timeout");
}

/** Whether a request had no answer in its time. */
export function isUnanswered(error: unknown): boolean {
  const cause = rootCause(error);
  return cause instanceof Error && cause.name === "KafkaJSRequestTimeoutError";
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
