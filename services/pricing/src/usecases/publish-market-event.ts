import { AppError } from "@pricing-engine/chassis/errors";
import { fitsCurrency, type MarketEventData, type MarketEventRequest } from "@pricing-engine/contracts";
import { appendOutbox, type Tx, withTransaction } from "@pricing-engine/postgres";
import { findLiveProduct, readClock } from "../adapters/product-lookup.ts";
import { schemaName } from "../adapters/schema.ts";
import { findTaskOfEvent } from "../adapters/task-store.ts";
import { isTooFarAhead } from "../domain/views.ts";
import { type Deps, deadlineMs } from "./deps.ts";
import { RepeatedEvent, requestTask } from "./request-task.ts";

export type PublishMarketEventResult =
  | { readonly kind: "published"; readonly taskId: string }
  | { readonly kind: "unknown_product" };

export type PublishMarketEvent = (event: MarketEventRequest) => Promise<PublishMarketEventResult>;

/**
 * Takes an event: its task and its message are committed together, so a task that was answered can be read and will end.
 *
 * @throws AppError `validation_failed` for an observation more than 60 s ahead of the database's clock, `unprocessable` for an amount
 *   that the product's currency cannot hold.
 */
export function makePublishMarketEvent({ pool, prefix }: Pick<Deps, "pool" | "prefix">): PublishMarketEvent {
  const attempt = (event: MarketEventRequest): Promise<PublishMarketEventResult> =>
    withTransaction(
      pool,
      async (tx) => {
        const checked = await check(tx, event);
        if (checked === undefined) return findRepeated(tx, event.event_id);
        const { taskId, outboxRows } = await requestTask(tx, prefix, { origin: "api", data: checked });
        await appendOutbox(tx, { schema: schemaName }, outboxRows);
        return { kind: "published", taskId };
      },
      { deadlineMs },
    );
  return async (event) => {
    try {
      return await attempt(event);
    } catch (error) {
      if (error instanceof RepeatedEvent) return attempt(event);
      throw error;
    }
  };
}

/** An event that was taken while its product was there can be repeated when it is gone. */
async function findRepeated(tx: Tx, eventId: string | undefined): Promise<PublishMarketEventResult> {
  const taskId = eventId === undefined ? undefined : await findTaskOfEvent(tx, eventId);
  return taskId === undefined ? { kind: "unknown_product" } : { kind: "published", taskId };
}

/** The event as it goes on its way; undefined when its product is not there. */
async function check(tx: Tx, event: MarketEventRequest): Promise<MarketEventData | undefined> {
  const { product_id: productId } = event;
  const product = productId === undefined ? undefined : await findLiveProduct(tx, productId);
  if (productId !== undefined && product === undefined) return undefined;
  const nowMs = product?.nowMs ?? (await readClock(tx));
  if (event.observed_at !== undefined && isTooFarAhead(Date.parse(event.observed_at), nowMs)) {
    const message = "must not be more than 60 s in the future";
    throw new AppError("validation_failed", {
      detail: `observed_at ${message}`,
      fieldErrors: [{ pointer: "/observed_at", code: "too_far_ahead", message }],
    });
  }
  const amount = event.type === "competitor_price" ? event.price : event.type === "cost" ? event.cost : undefined;
  if (amount !== undefined && product !== undefined && !fitsCurrency(amount, product.currency)) {
    throw new AppError("unprocessable", { detail: `the amount has more decimals than ${product.currency} counts in` });
  }
  return toData(event, event.observed_at ?? new Date(nowMs).toISOString());
}

function toData(event: MarketEventRequest, observedAt: string): MarketEventData {
  const common = { observedAt, ...(event.event_id !== undefined && { eventId: event.event_id }) };
  switch (event.type) {
    case "demand":
      return { kind: event.type, productId: event.product_id, demand: event.demand, ...common };
    case "competitor_price": {
      const { price, confidence } = event;
      return {
        kind: event.type,
        productId: event.product_id,
        price,
        ...(confidence !== undefined && { confidence }),
        ...common,
      };
    }
    case "stock":
      return { kind: event.type, productId: event.product_id, stock: event.stock, ...common };
    case "cost":
      return { kind: event.type, productId: event.product_id, cost: event.cost, ...common };
    case "recalculate":
      return { kind: event.type, ...(event.product_id !== undefined && { productId: event.product_id }), ...common };
  }
}
