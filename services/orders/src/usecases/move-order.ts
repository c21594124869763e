import { type Context, context } from "@pricing-engine/chassis/telemetry";
import type { OrdersSettings } from "@pricing-engine/contracts";
import { appendOutbox, type OutboxRow, type Tx } from "@pricing-engine/postgres";
import { endReservations, type Level, type Reservation, reserve } from "../adapters/inventory-store.ts";
import { transitions } from "../adapters/metrics.ts";
import type { Order } from "../adapters/order-rows.ts";
import { type Move, writeMoves } from "../adapters/order-store.ts";
import { changeRow, commandRow, stockRow } from "../adapters/outbox-rows.ts";
import { type KeptReceipt, keepReceipts } from "../adapters/receipt-rows.ts";
import { schemaName } from "../adapters/schema.ts";
import { isNews } from "../domain/low-stock.ts";
import { type OrderEvent, type OrderState, overdueCommand, type Step, step } from "../domain/saga.ts";

export interface MoveDeps {
  readonly prefix: string;
  readonly settings: () => OrdersSettings;
}

/** Time past a charge's deadline until the sweeper asks how it went: the payment service ends it by itself. */
const graceMs = 1_000;

/** What happens to an order that the caller has locked. */
export interface PlannedMove {
  readonly order: Order;
  readonly event: OrderEvent;
  /** Of its own message: what it sends belongs to that trace. */
  readonly trace?: Context;
  /** Further rows of the outbox. */
  readonly rows?: readonly OutboxRow[];
  /** What it takes of the stock. */
  readonly takes?: readonly Reservation[];
  readonly receipt?: KeptReceipt;
  /** The letter of a message that is given up, for the saga's `dead_letter`. */
  readonly deadLetter?: (reason: string) => OutboxRow;
  /** The message that asks for fulfilment comes again by itself, after its backoff. */
  readonly comesAgain?: boolean;
}

interface Moved {
  readonly planned: PlannedMove;
  readonly result: Extract<Step, { kind: "moved" }>;
  readonly move: Move;
}

export async function moveOrder(tx: Tx, planned: PlannedMove, deps: MoveDeps): Promise<Step> {
  const [result] = await moveOrders(tx, [planned], deps);
  return result as Step;
}

/**
 * What events do to orders that the caller has locked, one to each: states, transitions, stock and outbox, in the caller's transaction.
 * Call it last: it appends to the outbox. The one place where an order changes.
 */
export async function moveOrders(tx: Tx, planned: readonly PlannedMove[], deps: MoveDeps): Promise<Step[]> {
  const { retries } = deps.settings();
  const results = planned.map(({ order, event }) => step(order.state, event, { maxFulfilmentFailures: retries }));
  const moved = planned.flatMap((each, index): Moved[] => {
    const result = results[index];
    return result?.kind === "moved" ? [{ planned: each, result, move: moveOf(each, result.state, deps) }] : [];
  });
  if (moved.length === 0) return results;
  const rows = [
    ...(await giveBack(tx, moved, deps.prefix)),
    ...moved.flatMap((each) => context.with(each.planned.trace ?? context.active(), () => rowsOf(each, deps.prefix))),
  ];
  const sold = moved.filter(({ planned: { order }, result }) => isSold(order.state, result.state));
  const takes = moved.flatMap(({ planned: { takes = [] } }) => takes);
  const receipts = moved.flatMap(({ planned: { receipt } }) => receipt ?? []);
  // One trip: whoever wants the same products waits until the commit.
  await Promise.all([
    takes.length > 0 ? reserve(tx, takes) : undefined,
    receipts.length > 0 ? keepReceipts(tx, receipts) : undefined,
    writeMoves(
      tx,
      moved.map(({ move }) => move),
    ),
    sold.length > 0
      ? endReservations(
          tx,
          sold.map(({ move }) => move.order.orderId),
          "sold",
        )
      : undefined,
    appendOutbox(tx, { schema: schemaName }, rows),
  ]);
  tx.afterCommit(() => {
    for (const { move } of moved) transitions.inc({ event: move.event, to: move.state.status });
  });
  return results;
}

function moveOf({ order, event }: PlannedMove, state: OrderState, { settings }: MoveDeps): Move {
  const { stateTimeoutMs } = settings();
  const nowMs = Date.now();
  const waits = overdueCommand(state) !== undefined;
  return {
    order,
    state,
    event: event.type,
    reason: "reason" in event ? event.reason : null,
    at: new Date(nowMs).toISOString(),
    chargeDeadline:
      event.type === "stock_reserved" ? new Date(nowMs + stateTimeoutMs).toISOString() : order.chargeDeadline,
    overdueAt: waits ? new Date(nowMs + stateTimeoutMs + graceMs).toISOString() : null,
  };
}

function rowsOf({ planned, result, move }: Moved, prefix: string): OutboxRow[] {
  const { order, event, deadLetter } = planned;
  const rows: OutboxRow[] = [...(planned.rows ?? [])];
  for (const command of result.commands) {
    if (command.type === "dead_letter") {
      if (deadLetter !== undefined) rows.push(deadLetter(command.reason));
    } else if (!(command.type === "fulfil" && planned.comesAgain)) {
      rows.push(commandRow(prefix, order, command.type));
    }
  }
  const { status, reason } = result.state;
  rows.push(changeRow(prefix, order, { status, event: event.type, reason, version: order.version + 1, at: move.at }));
  return rows;
}

/** What was held is sold when the order is fulfilled … */
function isSold(before: OrderState, after: OrderState): boolean {
  return after.status === "fulfilled" && before.status !== "fulfilled";
}

/** … and goes back when the saga says so. */
async function giveBack(tx: Tx, moved: readonly Moved[], prefix: string): Promise<OutboxRow[]> {
  const releasing = moved.filter(({ result }) => result.effects.includes("release_stock"));
  if (releasing.length === 0) return [];
  const risen: Level[] = await endReservations(
    tx,
    releasing.map(({ move }) => move.order.orderId),
    "released",
  );
  // How much each rose is not known here; that it did, and how far, is enough to tell whether it was scarce.
  return risen
    .filter(({ fullStock, stock }) => isNews(fullStock, stock - 1, stock))
    .map((level) => stockRow(prefix, level));
}
