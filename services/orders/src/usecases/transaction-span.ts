import { SpanKind, withSpan } from "@pricing-engine/chassis/telemetry";

const span = { kind: SpanKind.CLIENT, attributes: { "db.system.name": "postgresql" } };

/** Each order's trace shows the transaction that it took part in, though that is many orders'. */
export function withTransactionSpan<Result>(run: () => Promise<Result>): Promise<Result> {
  return withSpan("postgres transaction", span, run);
}
