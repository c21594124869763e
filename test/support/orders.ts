import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { eventually } from "@pricing-engine/testkit";
import type { Answer, EngineClient } from "./client.ts";

export interface Placed {
  readonly order_id: string;
  readonly status: string;
  readonly total: string;
  readonly idempotency_key: string;
  readonly tokens_remaining: number;
}

/** As much of `GET /orders/{id}` as tests look at. */
export interface Order {
  readonly order_id: string;
  readonly status: string;
  readonly total: string;
  readonly refund?: string;
  readonly notification?: string;
  readonly receipt_url: string | null;
  readonly transitions: readonly { readonly to: string; readonly at: string }[];
}

export const endStates = ["notified", "rejected", "payment_failed", "cancelled"];

/** One unit of the product unless `order` says otherwise; a key of its own unless one is given. */
export function anOrder(productId: string, order: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    customer_id: "c-1",
    items: [{ product_id: productId, quantity: 1 }],
    idempotency_key: randomUUID(),
    ...order,
  };
}

export function post(client: EngineClient, order: unknown, headers: Readonly<Record<string, string>> = {}) {
  return client.call("POST", "/orders", { json: order, headers });
}

/** @throws when it is not a 202 */
export async function place(client: EngineClient, order: unknown): Promise<Placed> {
  return placedOf(await post(client, order));
}

export function placedOf({ status, text, body }: Answer): Placed {
  if (status !== 202) throw new Error(`answered with ${status}: ${text.slice(0, 500)}`);
  return body as Placed;
}

export async function getOrder(client: EngineClient, orderId: string): Promise<Order> {
  const { status, text, body } = await client.call("GET", `/orders/${orderId}`);
  if (status !== 200) throw new Error(`answered with ${status}: ${text.slice(0, 500)}`);
  return body as Order;
}

/** Waits until the order is in one of the states. */
export function orderIn(client: EngineClient, orderId: string, states = endStates, timeoutMs = 60_000): Promise<Order> {
  return eventually(
    async () => {
      const order = await getOrder(client, orderId);
      if (!states.includes(order.status)) throw new Error(`still ${JSON.stringify(order)}`);
      return order;
    },
    { timeoutMs, intervalMs: 100 },
  );
}

/** What a person sees who follows the link. */
export async function readReceipt(gatewayUrl: string, { receipt_url }: Order): Promise<string> {
  if (receipt_url === null) throw new Error("the order has no receipt");
  const url = new URL(receipt_url, gatewayUrl);
  if (url.protocol === "file:") return await readFile(url, "utf8");
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`the receipt answered with ${answer.status}`);
  return await answer.text();
}
