import { createHash, randomUUID } from "node:crypto";
import { AppError } from "@pricing-engine/chassis/errors";
import { injectHeaders } from "@pricing-engine/chassis/telemetry";
import type { PlacedOrder, PlaceOrderRequest } from "@pricing-engine/contracts";
import { formatMinor } from "@pricing-engine/money";
import { appendOutbox, type Pool, query, withTransaction } from "@pricing-engine/postgres";
import { uuidv7 } from "uuidv7";
import { claimKey, findKey, type KnownKey } from "../adapters/idempotency-store.ts";
import { insertOrder, type NewOrder } from "../adapters/order-store.ts";
import { rethrowMissingPartition } from "../adapters/outages.ts";
import { changeRow, commandRow } from "../adapters/outbox-rows.ts";
import type { PricingClient } from "../adapters/pricing-client.ts";
import { schemaName } from "../adapters/schema.ts";
import { placeOrder } from "../domain/saga.ts";
import { totalOf } from "../domain/total.ts";
import type { MoveDeps } from "./move-order.ts";
import { quoteLines } from "./quote-lines.ts";

export type PlaceOrderResult =
  | { readonly kind: "placed"; readonly answer: PlacedOrder }
  /** The key has placed an order before: what that was answered. */
  | { readonly kind: "repeated"; readonly answer: PlacedOrder }
  | { readonly kind: "other_body" };

/** Waiting for a connection included: in a burst an order that is taken late is better than one that is refused. */
const deadlineMs = 15_000;

export type PlaceOrder = (
  tenantId: string,
  idempotencyKey: string,
  request: PlaceOrderRequest,
) => Promise<PlaceOrderResult>;

/**
 * Idempotency row, order, first transition and outbox are one transaction; the quote comes before it, so pricing is never waited for
 * with a lock in hand. What is refused before the transaction has used no key.
 *
 * @throws AppError 422 for what depends on stored data, `unavailable` without pricing or without this month's partition
 */
export function makePlaceOrder(
  deps: MoveDeps & { pool: Pool; pricing: Pick<PricingClient, "quote">; idempotencyTtlMs: () => number },
): PlaceOrder {
  const { pool, pricing, settings, prefix, idempotencyTtlMs } = deps;
  return async (tenantId, key, request) => {
    const bodyHash = hashOf(request);
    const known = await query(pool, deadlineMs, (on) => findKey(on, tenantId, key));
    if (known !== undefined) return repeat(known, bodyHash);

    const { trustClientPrices, stateTimeoutMs } = settings();
    const { currency, lines } = await quoteLines(pricing, request, trustClientPrices);
    const total = totalOf(lines, currency);
    if (total === undefined) throw new AppError("unprocessable", { detail: "the total is more than can be charged" });
    const nowMs = Date.now();
    const order: NewOrder = {
      orderId: `ord_${uuidv7()}`,
      createdAt: new Date(nowMs).toISOString(),
      tenantId,
      customerId: request.customer_id,
      idempotencyKey: key,
      currency,
      ...total,
      paymentId: randomUUID(),
      overdueAt: new Date(nowMs + stateTimeoutMs).toISOString(),
      traceparent: traceparent(),
      lines,
    };
    const answer: PlacedOrder = {
      order_id: order.orderId,
      status: "placed",
      total: formatMinor(total.totalMinor, currency),
      idempotency_key: key,
    };
    const { commands, state } = placeOrder(total.amountMinor);
    return withTransaction<PlaceOrderResult>(
      pool,
      async (tx) => {
        const claim = { tenantId, key, bodyHash, orderId: order.orderId, answer: JSON.stringify(answer) };
        if (!(await claimKey(tx, { ...claim, ttlMs: idempotencyTtlMs() }))) {
          const first = await findKey(tx, tenantId, key);
          // It expired between the two statements: nothing is lost by asking once more.
          if (first === undefined) throw new AppError("unavailable");
          return repeat(first, bodyHash);
        }
        const change = { status: state.status, event: "order_placed", reason: null, version: 1, at: order.createdAt };
        const rows = [...commands.map(({ type }) => commandRow(prefix, order, type)), changeRow(prefix, order, change)];
        // One trip.
        await Promise.all([insertOrder(tx, order), appendOutbox(tx, { schema: schemaName }, rows)]);
        return { kind: "placed", answer };
      },
      { deadlineMs },
    ).catch(rethrowMissingPartition);
  };
}

function repeat(known: KnownKey, bodyHash: string): PlaceOrderResult {
  if (known.bodyHash !== bodyHash) return { kind: "other_body" };
  return { kind: "repeated", answer: JSON.parse(known.answer) as PlacedOrder };
}

/** Of what is asked for, however it is written: fields in one order, without those that nobody knows. */
function hashOf({ customer_id, is_prime_member = false, items }: PlaceOrderRequest): string {
  const lines = items.map(({ product_id, quantity, price = null, decision_id = null }) => {
    return [product_id, quantity, price, decision_id];
  });
  return createHash("sha256")
    .update(JSON.stringify([customer_id, is_prime_member, lines]))
    .digest("hex");
}

function traceparent(): string {
  const { traceparent: text } = injectHeaders({});
  if (text === undefined) throw new AppError("internal", { detail: "an order is placed outside of any span" });
  return text;
}
