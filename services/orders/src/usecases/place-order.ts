import { createHash, randomUUID } from "node:crypto";
import { AppError } from "@pricing-engine/chassis/errors";
import { injectHeaders } from "@pricing-engine/chassis/telemetry";
import type { PlacedOrder, PlaceOrderRequest } from "@pricing-engine/contracts";
import { formatMinor } from "@pricing-engine/money";
import { appendOutbox, type OutboxRow, type Pool, type Tx, withTransaction } from "@pricing-engine/postgres";
import { uuidv7 } from "uuidv7";
import { claimKeys, findKeys, type KeyRef, type KnownKey, keyText } from "../adapters/idempotency-store.ts";
import { insertOrders, type NewOrder } from "../adapters/order-store.ts";
import { isOutage, rethrowMissingPartition } from "../adapters/outages.ts";
import { changeRow, commandRow } from "../adapters/outbox-rows.ts";
import type { PricingClient } from "../adapters/pricing-client.ts";
import { schemaName } from "../adapters/schema.ts";
import { placeOrder } from "../domain/saga.ts";
import { totalOf } from "../domain/total.ts";
import { gatherMs } from "./deadline.ts";
import { makeFindKey } from "./find-in-batches.ts";
import { inBatches } from "./in-batches.ts";
import type { MoveDeps } from "./move-order.ts";
import { makeQuoteInBatches } from "./quote-in-batches.ts";
import { quoteLines } from "./quote-lines.ts";
import { withTransactionSpan } from "./transaction-span.ts";

export type PlaceOrderResult =
  | { readonly kind: "placed"; readonly answer: PlacedOrder }
  /** The key has placed an order before: what that was answered. */
  | { readonly kind: "repeated"; readonly answer: PlacedOrder }
  | { readonly kind: "other_body" };

/** Waiting for a connection included: in a burst an order that is taken late is better than one that is refused. */
const deadlineMs = 15_000;

/** What one customer waits for, a lock of another replica or a slow answer of pricing, delays those who come later by no more. */
const patienceMs = 100;

export type PlaceOrder = (
  tenantId: string,
  idempotencyKey: string,
  request: PlaceOrderRequest,
  /** Of the tenant's bucket, when the gateway has taken one: kept with the answer. */
  tokensRemaining?: number,
) => Promise<PlaceOrderResult>;

interface Item {
  readonly claim: KeyRef & KnownKey;
  readonly order: NewOrder;
  readonly rows: readonly OutboxRow[];
}

/**
 * Idempotency row, order, first transition and outbox are one transaction, which takes several orders when several are placed at once; the
 * quote comes before it, so pricing is never waited for with a lock in hand. What is refused before the transaction has used no key.
 *
 * @throws AppError 422 for what depends on stored data, `unavailable` without pricing or without this month's partition
 */
export function makePlaceOrder(
  deps: MoveDeps & { pool: Pool; pricing: Pick<PricingClient, "quote">; idempotencyTtlMs: () => number },
): PlaceOrder {
  const { pool, settings, prefix, idempotencyTtlMs } = deps;
  const findKey = makeFindKey(pool, { gatherMs, patienceMs, deadlineMs });
  const quote = makeQuoteInBatches((asked) => deps.pricing.quote(asked), patienceMs);
  const insert = inBatches<Item, KnownKey | undefined>({
    run: (items) =>
      withTransaction(pool, (tx) => insertAll(tx, items, idempotencyTtlMs()), { deadlineMs }).catch(
        rethrowMissingPartition,
      ),
    keyOf: ({ claim }) => keyText(claim),
    isOutage,
    // They have gathered before.
    gatherMs: 0,
    patienceMs,
    maxItems: 64,
  });
  return async (tenantId, key, request, tokensRemaining) => {
    const bodyHash = hashOf(request);
    const known = await findKey({ tenantId, key });
    if (known !== undefined) return repeat(known, bodyHash);

    const { trustClientPrices, stateTimeoutMs } = settings();
    const { currency, lines } = await quoteLines({ quote }, request, trustClientPrices);
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
      ...(tokensRemaining === undefined ? {} : { tokens_remaining: tokensRemaining }),
    };
    const { commands, state } = placeOrder(total.amountMinor);
    const claim = { tenantId, key, bodyHash, orderId: order.orderId, answer: JSON.stringify(answer) };
    const first = await withTransactionSpan(() => {
      const change = { status: state.status, event: "order_placed", reason: null, version: 1, at: order.createdAt };
      const rows = [...commands.map(({ type }) => commandRow(prefix, order, type)), changeRow(prefix, order, change)];
      return insert({ claim, order, rows });
    });
    // It expired between the two statements: nothing is lost by asking once more.
    if (first === undefined) throw new AppError("unavailable");
    return first.orderId === order.orderId ? { kind: "placed", answer } : repeat(first, bodyHash);
  };
}

/** Resolves with whose each key is now: of this order, or of the one that was placed with it before. */
async function insertAll(tx: Tx, items: readonly Item[], ttlMs: number): Promise<(KnownKey | undefined)[]> {
  const claims = items.map(({ claim }) => claim);
  const claimed = await claimKeys(tx, claims, ttlMs);
  const others = claims.filter((claim) => !claimed.has(keyText(claim)));
  const known = others.length === 0 ? new Map<string, KnownKey>() : await findKeys(tx, others);
  const fresh = items.filter(({ claim }) => claimed.has(keyText(claim)));
  if (fresh.length > 0) {
    const orders = fresh.map(({ order }) => order);
    const rows = fresh.flatMap((item) => item.rows);
    // One trip.
    await Promise.all([insertOrders(tx, orders), appendOutbox(tx, { schema: schemaName }, rows)]);
  }
  return claims.map((claim) => (claimed.has(keyText(claim)) ? claim : known.get(keyText(claim))));
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
