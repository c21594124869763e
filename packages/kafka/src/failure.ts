import { AppError } from "@pricing-engine/chassis/errors";
import { deadLetterTopic, retryTopic } from "@pricing-engine/contracts";
import { backoffMs } from "./backoff.ts";
import { attemptsOf, type RetryPolicy } from "./consumer-options.ts";
import { failedAttempts, headerNames, originalPosition } from "./headers.ts";
import type { RawHeaders, RawRecord } from "./message.ts";
import type { OutgoingMessage } from "./producer.ts";

export interface Failure {
  outcome: "retry" | "dead";
  outgoing: OutgoingMessage;
  code: string;
}

export interface FailureContext {
  groupId: string;
  retry: Required<RetryPolicy>;
  /** The record was read from a retry topic. */
  isCopy: boolean;
  nowMs: number;
  /** In [0, 1). */
  random: number;
}

/**
 * Where a message goes that failed by its own fault: to the retry topic, due after a backoff, or to the dead letters
 * when its attempts are used up or no attempt can help. Key, value and headers stay the same bytes. Pure.
 */
export function decideFailure(record: RawRecord, error: unknown, context: FailureContext): Failure {
  const { groupId, retry, isCopy, nowMs, random } = context;
  const attempts = failedAttempts(record, isCopy) + 1;
  const original = isCopy ? originalPosition(record) : record;
  const code = error instanceof AppError ? error.code : "internal";
  const final = error instanceof AppError && !error.retryable;
  const outcome = final || attempts >= attemptsOf(retry) ? "dead" : "retry";
  const added: RawHeaders = {
    [headerNames.attempts]: String(attempts),
    [headerNames.originalTopic]: original.topic,
    [headerNames.originalPartition]: String(original.partition),
    [headerNames.originalOffset]: String(original.offset),
    [headerNames.group]: groupId,
    [headerNames.errorCode]: code,
    [headerNames.errorMessage]: describe(error),
    [headerNames.failedAt]: new Date(nowMs).toISOString(),
  };
  if (!isCopy) added[headerNames.originalTimestamp] = String(record.timestampMs);
  if (outcome === "retry") added[headerNames.dueAt] = String(nowMs + backoffMs(attempts, retry, random));
  const { [headerNames.dueAt]: _due, ...kept } = record.headers;
  const topicOf = outcome === "dead" ? deadLetterTopic : retryTopic;
  return {
    outcome,
    code,
    outgoing: {
      topic: topicOf(original.topic, groupId),
      key: record.key,
      value: record.value,
      headers: { ...kept, ...added },
    },
  };
}

function describe(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 1_000);
}
