import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ChargeCommand, type ChargeModel, command, noCharge, processorActs } from "./payment-model.ts";
import { type OrderCommand, type OrderEvent, type OrderState, overdueCommand, placeOrder, step } from "./saga.ts";

/**
 * Orders, stock and the payment service in one world whose messages come late, again, out of order or not at all, and whose stages
 * crash before and after they commit. At the end everybody has time, and money, stock and states must agree.
 */
const runs = Number(process.env.SIM_RUNS ?? 2000);
const limits = { maxFulfilmentFailures: 3 };
const amountMinor = 2000;
const initialStock = 3;

type Message =
  | { readonly to: "inventory" | "fulfilment" | "notification"; readonly order: number }
  | { readonly to: "payment"; readonly order: number; readonly asked: ChargeCommand }
  | { readonly to: "order"; readonly order: number; readonly event: OrderEvent };

type World = {
  orders: {
    state: OrderState;
    charge: ChargeModel;
    charged: number;
    refunded: number;
    receipts: number;
    told: number;
  }[];
  stock: number;
  bag: Message[];
};

/** Every random choice of a run, so that a failing one replays and shrinks. */
type Choice = { what: number; which: number; fate: "commit" | "commit and come again" | "crash" | "lose" };

function makeWorld(orders: number): World {
  return {
    orders: Array.from({ length: orders }, () => ({
      state: placeOrder(amountMinor).state,
      charge: noCharge,
      charged: 0,
      refunded: 0,
      receipts: 0,
      told: 0,
    })),
    stock: initialStock,
    bag: Array.from({ length: orders }, (_, order) => ({ to: "inventory", order })),
  };
}

function messageOf(order: number, due: OrderCommand | { type: "reserve" | "expire_charge" }): Message[] {
  switch (due.type) {
    case "reserve":
      return [{ to: "inventory", order }];
    case "fulfil":
      return [{ to: "fulfilment", order }];
    case "notify":
      return [{ to: "notification", order }];
    case "charge":
    case "cancel_charge":
    case "expire_charge":
    case "refund":
      return [{ to: "payment", order, asked: due.type }];
    case "dead_letter":
      return [];
  }
}

/** One transaction of a stage: all of it or, on a crash, nothing. */
function apply(world: World, order: number, event: OrderEvent): boolean {
  const row = world.orders[order];
  if (row === undefined) throw new Error(`no order ${order}`);
  const next = step(row.state, event, limits);
  if (next.kind !== "moved") return false;
  row.state = next.state;
  if (next.effects.includes("release_stock")) world.stock += 1;
  world.bag.push(...next.commands.flatMap((due) => messageOf(order, due)));
  return true;
}

function deliver(world: World, message: Message, choice: { what: number }): void {
  const { order } = message;
  const row = world.orders[order];
  if (row === undefined) throw new Error(`no order ${order}`);
  switch (message.to) {
    case "inventory": {
      if (row.state.status !== "placed") return;
      if (choice.what % 11 === 0) {
        apply(world, order, { type: "reservation_failed", reason: "no such table" });
        return;
      }
      if (world.stock === 0) {
        apply(world, order, { type: "stock_rejected", reason: "out of stock" });
        return;
      }
      world.stock -= 1;
      apply(world, order, { type: "stock_reserved" });
      return;
    }
    case "fulfilment": {
      if (row.state.status !== "paid") return;
      // The work takes time, in which the order may be cancelled: what came of it is decided on the state found then.
      const ok = choice.what % 3 !== 0;
      const event: OrderEvent = ok
        ? { type: "fulfilment_succeeded" }
        : { type: "fulfilment_failed", reason: "no paper" };
      world.bag.push({ to: "order", order, event });
      return;
    }
    case "notification": {
      const ok = choice.what % 4 !== 0;
      const event: OrderEvent = ok ? { type: "notification_sent" } : { type: "notification_failed", reason: "404" };
      if (apply(world, order, event) && ok) row.told += 1;
      return;
    }
    case "payment": {
      const { model, events } = command(row.charge, message.asked);
      row.charge = model;
      for (const type of events) tell(world, order, type);
      return;
    }
    case "order":
      // A receipt whose transition lost is deleted again.
      if (apply(world, order, message.event) && message.event.type === "fulfilment_succeeded") row.receipts += 1;
  }
}

function tell(
  world: World,
  order: number,
  type: "charge_settled" | "charge_cancelled" | "charge_expired" | "refund_done" | "refund_manual",
): void {
  const event: OrderEvent = type === "charge_settled" ? { type, amountMinor } : { type };
  world.bag.push({ to: "order", order, event });
}

function processor(world: World, order: number, manual: boolean): void {
  const row = world.orders[order];
  if (row === undefined) return;
  const { model, events } = processorActs(row.charge, manual);
  row.charge = model;
  if (events.includes("charge_settled")) row.charged += 1;
  if (events.includes("refund_done")) row.refunded += 1;
  for (const type of events) tell(world, order, type);
}

function sweep(world: World, order: number): void {
  const row = world.orders[order];
  const due = row && overdueCommand(row.state);
  if (due !== undefined) world.bag.push(...messageOf(order, due));
}

function act(world: World, choice: Choice): void {
  const order = choice.which % world.orders.length;
  switch (choice.what % 8) {
    case 0:
      apply(world, order, { type: "cancel_requested", reason: "changed my mind" });
      return;
    case 1:
      sweep(world, order);
      return;
    case 2:
    case 3:
      processor(world, order, choice.which % 5 === 0);
      return;
    default: {
      const at = choice.which % Math.max(world.bag.length, 1);
      const message = world.bag[at];
      if (message === undefined) return;
      // Commits and offsets are two things: what was done may come again, what comes again may have been done.
      if (choice.fate === "crash") return;
      if (choice.fate !== "commit and come again") world.bag.splice(at, 1);
      if (choice.fate !== "lose") deliver(world, message, choice);
    }
  }
}

/** Nothing is lost any more, and everybody has time. */
function drain(world: World): void {
  for (let round = 0; round < 40; round += 1) {
    world.orders.forEach((_, order) => {
      sweep(world, order);
      processor(world, order, false);
    });
    for (const message of world.bag.splice(0)) deliver(world, message, { what: 1 });
  }
}

function check(world: World): void {
  let held = 0;
  for (const { state, charged, refunded, receipts, charge, told } of world.orders) {
    expect(overdueCommand(state), `${state.status} is not an end`).toBeUndefined();
    expect(charged, "charged twice").toBeLessThanOrEqual(1);
    expect(refunded, "refunded twice").toBeLessThanOrEqual(1);
    expect(receipts, "fulfilled twice").toBeLessThanOrEqual(1);
    expect(told, "told twice").toBeLessThanOrEqual(1);
    const sold = state.status === "fulfilled" || state.status === "notified";
    if (sold) held += 1;
    expect(receipts === 1, "a receipt exactly for what was sold").toBe(sold);
    const keeps = charged - refunded;
    if (sold) expect(keeps, "fulfilled, never charged").toBe(1);
    else if (charge.charge === "manual") expect(state.refund).toBe("manual");
    else expect(keeps, "charged, never fulfilled").toBe(0);
    if (state.refund === "done") expect(refunded).toBe(1);
  }
  expect(world.stock + held, "stock and states agree").toBe(initialStock);
  expect(world.stock).toBeGreaterThanOrEqual(0);
}

describe("the saga in a bad world", () => {
  const choice: fc.Arbitrary<Choice> = fc.record({
    what: fc.nat(1_000),
    which: fc.nat(1_000),
    fate: fc.constantFrom("commit", "commit", "commit", "commit and come again", "crash", "lose"),
  });

  it("ends every order, with money and stock that agree with its state", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.array(choice, { maxLength: 200, size: "max" }),
        (orders, choices) => {
          const world = makeWorld(orders);
          for (const one of choices) {
            act(world, one);
            expect(world.stock).toBeGreaterThanOrEqual(0);
          }
          drain(world);
          check(world);
        },
      ),
      { numRuns: runs, ...(process.env.SIM_SEED === undefined ? {} : { seed: Number(process.env.SIM_SEED) }) },
    );
  });
});
