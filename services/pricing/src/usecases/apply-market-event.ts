import { AppError } from "@pricing-engine/chassis/errors";
import { fitsCurrency, type MarketEventData } from "@pricing-engine/contracts";
import { appendOutbox, claimInbox, type OutboxRow, type Tx, withTransaction } from "@pricing-engine/postgres";
import { schemaName } from "../adapters/schema.ts";
import { applySignal, lockProduct, type SignalEvent } from "../adapters/signal-store.ts";
import { finishTask, lockTask } from "../adapters/task-store.ts";
import { isTooFarAhead } from "../domain/views.ts";
import { type Deps, deadlineMs } from "./deps.ts";
import type { PublishPrices } from "./publish-prices.ts";

/** An event about one product. */
export interface ProductEvent {
  /** The message's; the same on each delivery. */
  readonly id: string;
  readonly data: MarketEventData & { readonly productId: string };
}

export type ApplyMarketEventResult =
  | { readonly kind: "applied"; readonly changed: boolean }
  | { readonly kind: "skipped"; readonly reason: string }
  /** Applied by an earlier delivery. */
  | { readonly kind: "repeated" };

export type ApplyMarketEvent = (event: ProductEvent) => Promise<ApplyMarketEventResult>;

const consumer = "market-events";

/**
 * Applies an event once: its signal (when newer than what is known), the price that follows, and the end of its task are one
 * transaction, whose first step tells a repeat. So a redelivery, at any age, takes no second step towards a price.
 *
 * @throws AppError `invalid_message` for an observation from further ahead than clocks may differ, and for an amount that the product's
 *   currency cannot hold.
 */
export function makeApplyMarketEvent(deps: Pick<Deps, "pool" | "publishPrices" | "markCommitted">): ApplyMarketEvent {
  return async (event) => {
    const { result, outboxRows } = await withTransaction<Applied | { result: { kind: "repeated" }; outboxRows: [] }>(
      deps.pool,
      async (tx) => {
        if (!(await claim(tx, event))) return { result: { kind: "repeated" }, outboxRows: [] };
        const { result, outboxRows } = await apply(tx, event, deps.publishPrices);
        if (event.data.taskId !== undefined) {
          await finishTask(tx, {
            taskId: event.data.taskId,
            status: result.kind === "applied" ? "succeeded" : "skipped",
            changed: result.kind === "applied" && result.changed,
            error: result.kind === "skipped" ? result.reason : undefined,
          });
        }
        await appendOutbox(tx, { schema: schemaName }, outboxRows);
        return { result, outboxRows };
      },
      { deadlineMs },
    );
    await deps.markCommitted(outboxRows);
    return result;
  };
}

/** The task's row, or for an event without a task a row of the inbox, lets one delivery through and makes others wait for it. */
async function claim(tx: Tx, { id, data }: ProductEvent): Promise<boolean> {
  if (data.taskId === undefined) return claimInbox(tx, { schema: schemaName, consumer, messageId: id });
  const status = await lockTask(tx, data.taskId);
  // A task that failed comes back from the dead letters; one that nobody knows was never promised to anybody.
  return status === "queued" || status === "running" || status === "failed";
}

interface Applied {
  readonly result: Exclude<ApplyMarketEventResult, { kind: "repeated" }>;
  readonly outboxRows: readonly OutboxRow[];
}

async function apply(tx: Tx, { id, data }: ProductEvent, publishPrices: PublishPrices): Promise<Applied> {
  const product = await lockProduct(tx, data.productId);
  if (product === undefined) return skipped("There is no such product");
  if (isTooFarAhead(Date.parse(data.observedAt), product.nowMs)) {
    throw new AppError("invalid_message", { detail: "observedAt is more than 60 s in the future" });
  }
  if (data.kind !== "recalculate") {
    checkAmount(data, product.currency);
    const newer = await applySignal(tx, { event: data, eventId: id, currency: product.currency });
    if (!newer) return skipped("A newer observation is known");
  }
  const { changed, outboxRows } = await publishPrices(tx, { productIds: [data.productId], written: false });
  return { result: { kind: "applied", changed: changed.length > 0 }, outboxRows };
}

function skipped(reason: string): Applied {
  return { result: { kind: "skipped", reason }, outboxRows: [] };
}

function checkAmount(event: SignalEvent, currency: string): void {
  const amount = event.kind === "competitor_price" ? event.price : event.kind === "cost" ? event.cost : undefined;
  if (amount !== undefined && !fitsCurrency(amount, currency)) {
    throw new AppError("invalid_message", { detail: `the amount has more decimals than ${currency} counts in` });
  }
}
