import kafkajs from "kafkajs";

/** The innermost kafkajs error: retries wrap what they gave up on. */
export function rootCause(error: unknown): unknown {
  let current = error;
  for (let depth = 0; depth < 8 && current instanceof Error; depth += 1) {
    if (!(current.cause instanceof Error)) return current;
    current = current.cause;
  }
  return current;
}

/** The protocol's name of the error (`ILLEGAL_GENERATION` …), or undefined. */
export function protocolErrorType(error: unknown): string | undefined {
  const cause = rootCause(error);
  return cause instanceof Error && "type" in cause && typeof cause.type === "string" ? cause.type : undefined;
}

// kafkajs marks these as not retriable, or not at all, though waiting is all they need.
const waitingHelps = new Set([
  "KafkaJSConnectionError",
  "KafkaJSConnectionClosedError",
  "KafkaJSRequestTimeoutError",
  "KafkaJSNoBrokerAvailableError",
  "KafkaJSBrokerNotFound",
  "KafkaJSGroupCoordinatorNotFound",
  "KafkaJSMetadataNotLoaded",
  "KafkaJSTopicMetadataNotLoaded",
  "KafkaJSLockTimeout",
  "KafkaJSTimeout",
]);

/** What kafkajs says of a broker that let it in and then did not say what it speaks. */
const brokerOfNoUse = "Broker not connected";

/** Whether Kafka itself is away or not ready, so that waiting helps and nothing is wrong with a message. */
export function isKafkaOutage(error: unknown): boolean {
  const cause = rootCause(error);
  if (!(cause instanceof Error)) return false;
  if (waitingHelps.has(cause.name) || cause.message === brokerOfNoUse) return true;
  return cause instanceof kafkajs.KafkaJSError && cause.retriable;
}
