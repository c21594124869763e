import type { Logger } from "@pricing-engine/chassis/log";
import { toPaymentAmount } from "@pricing-engine/contracts";
import { type Pool, query } from "@pricing-engine/postgres";
import type { Payment } from "../domain/payment.ts";
import type { HttpProcessors } from "./processors.ts";
import { toTime } from "./rows.ts";

const maxWaiting = 200;

/**
 * Looks at what a processor had already (422) when it was asked: the same amount and time, or a person must look. In the
 * background and at leisure: what is passed over here, reconciliation finds.
 */
export function makeReviewer({
  processors,
  pool,
  logger,
}: {
  processors: Pick<HttpProcessors, "find">;
  pool: Pool;
  logger: Logger;
}): (payment: Payment) => void {
  const waiting: Payment[] = [];
  let running = false;

  const review = async (payment: Payment): Promise<void> => {
    if (payment.processor === null || payment.requestedAtMs === null) return;
    const found = await processors.find(payment.processor, payment.id);
    const expected = { amount: toPaymentAmount(payment.amountMinor), requestedAt: toTime(payment.requestedAtMs) };
    const problem =
      found === undefined
        ? "the processor said that it has it, and has it not"
        : found.amount !== expected.amount
          ? `the processor has the amount ${found.amount}`
          : Date.parse(found.requestedAt) !== payment.requestedAtMs
            ? `the processor has it with requestedAt ${found.requestedAt}`
            : undefined;
    if (problem === undefined) return;
    logger.error({ correlationId: payment.id, processor: payment.processor, problem }, "a payment needs a review");
    await query(
      pool,
      5_000,
      ({ sql }) => sql`
        update payment.payments set review = concat_ws('; ', review, ${problem}::text)
        where correlation_id = ${payment.id} and source = ${payment.source} and created_at = ${toTime(payment.createdAtMs)}`,
    );
  };

  const work = async (): Promise<void> => {
    running = true;
    for (let payment = waiting.shift(); payment !== undefined; payment = waiting.shift()) {
      try {
        await review(payment);
      } catch (error) {
        logger.debug({ err: error, correlationId: payment.id }, "not reviewed, reconciliation will");
      }
    }
    running = false;
  };

  return (payment) => {
    if (waiting.length >= maxWaiting) return;
    waiting.push(payment);
    if (!running) void work();
  };
}
