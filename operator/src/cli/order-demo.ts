/** Shows an order: placed, and what happens to it by itself, until the customer has been told. */
import { setTimeout as delay } from "node:timers/promises";
import { type OrderResponse, orderResponse, placeOrderResponse } from "@pricing-engine/contracts";
import { UserError } from "../runtime/local/user-error.ts";
import type { DemoCaller } from "./demo-caller.ts";

export interface OrderDemoOptions {
  readonly caller: DemoCaller;
  /** Makes each run's order another one. */
  readonly run: string;
  readonly stop: AbortSignal;
}

const doneTimeoutMs = 30_000;

/** @throws UserError with the call that did not go as it should */
export async function runOrderDemo({ caller, run, stop }: OrderDemoOptions): Promise<void> {
  const { call, show, say } = caller;
  const order = {
    customer_id: "demo",
    items: [{ product_id: "PROD-001", quantity: 2 }],
    idempotency_key: `demo-${run}`,
  };
  const accepted = await call("POST", "/orders", placeOrderResponse, order);
  await show("An order, safe in Postgres: 202", "/orders", accepted, order);
  const path = `/orders/${accepted.order_id}`;
  const done = await untilDone(() => call("GET", path, orderResponse), stop);
  const { status, total, receipt_url } = done;
  await show("What became of it", path, { status, total, receipt_url });
  for (const line of describeTransitions(done)) say(`    ${line}`);
  say(`  (the same as a story, with trace ids: npm run orders -- trace ${accepted.order_id})`);
  if (status !== "notified") throw new UserError(`the order is still ${status} after ${doneTimeoutMs / 1000} s`);
}

async function untilDone(look: () => Promise<OrderResponse>, stop: AbortSignal): Promise<OrderResponse> {
  const deadline = performance.now() + doneTimeoutMs;
  for (;;) {
    const order = await look();
    if (order.status === "notified" || performance.now() > deadline || stop.aborted) return order;
    await delay(100);
  }
}

function describeTransitions({ transitions }: OrderResponse): string[] {
  const firstMs = Date.parse(transitions[0]?.at ?? "");
  return transitions.map(({ to, at }) => `${to.padEnd(10)} +${Date.parse(at) - firstMs} ms`);
}
