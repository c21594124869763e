import type { OrdersSettings } from "@pricing-engine/contracts";
import { appendOutbox, type OutboxRow, type Tx } from "@pricing-engine/postgres";
import { endReservations } from "../adapters/inventory-store.ts";
import { transitions } from "../adapters/metrics.ts";
import type { Order } from "../adapters/order-rows.ts";
import { writeMove } from "../adapters/order-store.ts";
import { changeRow, commandRow, stockRow } from "../adapters/outbox-rows.ts";
import { schemaName } from "../adapters/schema.ts";
import { isNews } from "../domain/low-stock.ts";
import { type OrderEvent, type OrderState, overdueCommand, type Step, step } from "../domain/saga.ts";

export interface MoveDeps {
  readonly prefix: string;
  readonly settings: () => OrdersSettings;
}

/** Time past a charge's deadline until the sweeper asks how it went: the payment service ends it by itself. */
const graceMs = 1_000;

export interface MoveExtras {
  /** Further rows of the outbox. */
  readonly rows?: readonly OutboxRow[];
  /** The letter of a message that is given up, for the saga's `dead_letter`. */
  readonly deadLetter?: (reason: string) => OutboxRow;
  /** The message that asks for fulfilment comes again by itself, after its backoff. */
  readonly comesAgain?: boolean;
}

/**
 * What an event does to an order that the caller has locked: state, transition, stock and outbox, in the caller's transaction. Call it
 * last: it appends to the outbox. The one place where an order changes.
 */
export async function moveOrder(
  tx: Tx,
  order: Order,
  event: OrderEvent,
  { prefix, settings }: MoveDeps,
  extras: MoveExtras = {},
): Promise<Step> {
  const { retries, stateTimeoutMs } = settings();
  const result = step(order.state, event, { maxFulfilmentFailures: retries });
  if (result.kind !== "moved") return result;
  const { state } = result;
  const nowMs = Date.now();
  const at = new Date(nowMs).toISOString();
  const chargeDeadline =
    event.type === "stock_reserved" ? new Date(nowMs + stateTimeoutMs).toISOString() : order.chargeDeadline;
  const waits = overdueCommand(state) !== undefined;
  const overdueAt = waits ? new Date(nowMs + stateTimeoutMs + graceMs).toISOString() : null;
  const reason = "reason" in event ? event.reason : null;
  const rows: OutboxRow[] = [...(extras.rows ?? []), ...(await giveBack(tx, order, result.effects, prefix))];
  for (const command of result.commands) {
    if (command.type === "dead_letter") {
      if (extras.deadLetter !== undefined) rows.push(extras.deadLetter(command.reason));
    } else if (!(command.type === "fulfil" && extras.comesAgain)) {
      rows.push(commandRow(prefix, order, command.type));
    }
  }
  const change = { status: state.status, event: event.type, reason: state.reason, version: order.version + 1, at };
  rows.push(changeRow(prefix, order, change));
  // One trip: whoever wants the same product waits until the commit.
  await Promise.all([
    writeMove(tx, order, { state, event: event.type, reason, at, chargeDeadline, overdueAt }),
    isSold(order.state, state) ? endReservations(tx, order.orderId, "sold") : undefined,
    appendOutbox(tx, { schema: schemaName }, rows),
  ]);
  tx.afterCommit(() => transitions.inc({ event: event.type, to: state.status }));
  return result;
}

/** What was held is sold when the order is fulfilled … */
function isSold(before: OrderState, after: OrderState): boolean {
  return after.status === "fulfilled" && before.status !== "fulfilled";
}

/** … and goes back when the saga says so. */
async function giveBack(tx: Tx, order: Order, effects: readonly string[], prefix: string): Promise<OutboxRow[]> {
  if (!effects.includes("release_stock")) return [];
  const risen = await endReservations(tx, order.orderId, "released");
  // How much each rose is not known here; that it did, and how far, is enough to tell whether it was scarce.
  return risen
    .filter(({ fullStock, stock }) => isNews(fullStock, stock - 1, stock))
    .map((level) => stockRow(prefix, level));
}
