import type { ErrorCode } from "@pricing-engine/chassis/errors";
import { deadLetterTopic } from "@pricing-engine/contracts";
import { headerNames } from "./headers.ts";
import type { Message } from "./message.ts";

/**
 * The dead letter of a message as text, for a handler that puts it into its outbox: then the letter and what the handler decided
 * commit together. The message counts as handled; the consumer adds nothing.
 */
export function makeDeadLetter(
  message: Message,
  about: { groupId: string; code: ErrorCode; reason: string; attempts: number; nowMs: number },
): { topic: string; key: string | null; payload: string; headers: Record<string, string> } {
  return {
    topic: deadLetterTopic(message.topic, about.groupId),
    key: message.key,
    payload: message.value.toString("utf8"),
    headers: {
      ...message.headers,
      [headerNames.attempts]: String(about.attempts),
      [headerNames.originalTopic]: message.topic,
      [headerNames.originalPartition]: String(message.partition),
      [headerNames.originalOffset]: String(message.offset),
      [headerNames.originalTimestamp]: String(message.timestampMs),
      [headerNames.group]: about.groupId,
      [headerNames.errorCode]: about.code,
      [headerNames.errorMessage]: about.reason.slice(0, 1_000),
      [headerNames.failedAt]: new Date(about.nowMs).toISOString(),
    },
  };
}
