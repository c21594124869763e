/** What a test asks of the engine, of its processors and of its namespace. */
import { randomUUID } from "node:crypto";
import { eventually } from "@pricing-engine/testkit";
import { expect } from "vitest";
import type { Cluster } from "./cluster.ts";

interface Summary {
  readonly default: { readonly totalRequests: number; readonly totalAmount: number };
  readonly fallback: { readonly totalRequests: number; readonly totalAmount: number };
}

interface Listed {
  readonly items: readonly {
    readonly metadata: {
      readonly name: string;
      readonly uid: string;
      readonly labels?: Readonly<Record<string, string>>;
    };
  }[];
}

export type ShopClient = ReturnType<typeof makeShopClient>;

/** `cluster` is asked for at each call: tests are named before there is one. */
export function makeShopClient(cluster: () => Cluster, namespace: string) {
  async function send(method: string, path: string, body?: unknown, base = cluster().address): Promise<Response> {
    const answer = await fetch(`${base}${path}`, {
      method,
      ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  }

  async function priceOf(product: string): Promise<string> {
    const answer = await send("POST", "/api/v1/price", { product_id: product });
    return ((await answer.json()) as { final_price: string }).final_price;
  }

  async function pay(): Promise<string> {
    const correlationId = randomUUID();
    await send("POST", "/payments", { correlationId, amount: 20.05 });
    return correlationId;
  }

  async function summary(): Promise<Summary> {
    return (await (await send("GET", "/payments-summary")).json()) as Summary;
  }

  async function settled(count: number): Promise<Summary> {
    return await eventually(
      async () => {
        const found = await summary();
        const total = found.default.totalRequests + found.fallback.totalRequests;
        if (total !== count) throw new Error(`${total} of ${count} payments are settled`);
        return found;
      },
      { timeoutMs: 120_000 },
    );
  }

  /** Asks a simulated processor's test controls. */
  async function control(processor: "default" | "fallback", path: string, init: RequestInit = {}): Promise<string> {
    const { address, close } = await cluster().forward(namespace, `service/processor-${processor}`, 8080);
    try {
      const headers = { "content-type": "application/json", "x-rinha-token": "123" };
      const answer = await fetch(`${address}/admin/${path}`, { ...init, headers });
      expect(answer.status).toBe(200);
      return await answer.text();
    } finally {
      close();
    }
  }

  async function configure(processor: "default" | "fallback", what: "failure" | "delay", body: object): Promise<void> {
    await control(processor, `configurations/${what}`, { method: "PUT", body: JSON.stringify(body) });
  }

  /** Ids of what it recorded, by its own account. */
  async function recordedBy(processor: "default" | "fallback"): Promise<string[]> {
    const lines = (await control(processor, "dump")).split("\n").filter((line) => line !== "");
    return lines.map((line) => (JSON.parse(line) as { correlationId: string }).correlationId);
  }

  async function podNames(component: string): Promise<string[]> {
    const selector = `app.kubernetes.io/instance=shop,app.kubernetes.io/component=${component}`;
    const { items } = await cluster().get<Listed>("-n", namespace, "pods", "-l", selector);
    return items.map(({ metadata }) => metadata.name).sort();
  }

  const patch = (spec: object) =>
    cluster().kubectl("-n", namespace, "patch", "pe/shop", "--type=merge", "-p", JSON.stringify({ spec }));

  return { send, priceOf, pay, summary, settled, configure, recordedBy, podNames, patch };
}
