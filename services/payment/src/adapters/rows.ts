import type { Payment } from "../domain/payment.ts";

export const schemaName = "payment";

/** A row as `columns` selects it; bigints come as text. */
export type Row = {
  correlation_id: string;
  source: Payment["source"];
  created_at_ms: string;
  topic_partition: number;
  amount_minor: string;
  order_id: string | null;
  deadline_ms: string | null;
  accepted_at_ms: string;
  state: Payment["state"];
  processor: Payment["processor"];
  requested_at_ms: string | null;
  pinned: boolean;
  attempts: number;
  version: number;
  ending: Payment["ending"];
  refund: Payment["refund"];
};

export const columns = `correlation_id, source, (extract(epoch from created_at) * 1000)::bigint as created_at_ms, topic_partition,
  amount_minor, order_id, deadline_ms, accepted_at_ms, state, processor, requested_at_ms, pinned, attempts, version, ending, refund`;

export function toPayment(row: Row): Payment {
  return {
    id: row.correlation_id,
    source: row.source,
    createdAtMs: Number(row.created_at_ms),
    partition: row.topic_partition,
    amountMinor: Number(row.amount_minor),
    orderId: row.order_id,
    deadlineMs: row.deadline_ms === null ? null : Number(row.deadline_ms),
    acceptedAtMs: Number(row.accepted_at_ms),
    state: row.state,
    processor: row.processor,
    requestedAtMs: row.requested_at_ms === null ? null : Number(row.requested_at_ms),
    pinned: row.pinned,
    attempts: row.attempts,
    version: row.version,
    ending: row.ending,
    refund: row.refund,
  };
}

/** Whole milliseconds in both directions: the time is part of a row's identity. */
export function toTime(ms: number): string {
  return new Date(ms).toISOString();
}
