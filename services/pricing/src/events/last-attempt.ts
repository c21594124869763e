import { AppError } from "@pricing-engine/chassis/errors";
import type { Message } from "@pricing-engine/kafka";

/** Whether a message that fails with this error goes to the dead letters now. */
export function isLastAttempt(message: Pick<Message, "attempt">, error: unknown, attempts: number): boolean {
  return message.attempt >= attempts || (error instanceof AppError && !error.retryable);
}

/** What a task tells of its failure: described faults as they are, nothing of the others. */
export function describeFailure(error: unknown): string {
  return error instanceof AppError ? (error.detail ?? error.code) : "internal error";
}
