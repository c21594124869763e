import { type SpawnedService, spawnService } from "@pricing-engine/testkit";

export type DumpedPayment = { correlationId: string; amountMinor: number; requestedAt: string; refunded: boolean };

export type Processor = {
  service: SpawnedService;
  url: string;
  set(name: "delay" | "failure" | "refunds", value: number | boolean): Promise<void>;
  fault(kind: string, share: number): Promise<void>;
  /** Records a payment behind the engine's back. */
  record(payment: { correlationId: string; amountMinor: number; requestedAt: Date }): Promise<void>;
  dump(): Promise<DumpedPayment[]>;
  summary(from?: Date, to?: Date): Promise<{ totalRequests: number; totalAmount: number }>;
};

const token = { "x-rinha-token": "123" };

/** The simulator as a process of its own: what it recorded outlives what is done to the worker. */
export async function startProcessor(args: string[] = []): Promise<Processor> {
  const entry = new URL("../../../../test/simulators/processor/main.ts", import.meta.url);
  const service = await spawnService({ entry, args });
  const configure = async (name: string, body: unknown): Promise<void> => {
    const response = await fetch(`${service.url}/admin/configurations/${name}`, {
      method: "PUT",
      headers: { ...token, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${name}: ${response.status} ${await response.text()}`);
  };
  return {
    service,
    url: service.url,
    set: (name, value) => configure(name, { [name]: value }),
    fault: (kind, share) => configure("fault", { kind, share }),
    async record({ correlationId, amountMinor, requestedAt }) {
      const response = await fetch(`${service.url}/payments`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ correlationId, amount: amountMinor / 100, requestedAt: requestedAt.toISOString() }),
      });
      if (!response.ok) throw new Error(`not recorded: ${response.status} ${await response.text()}`);
    },
    async dump() {
      const response = await fetch(`${service.url}/admin/dump`, { headers: token });
      return (await response.text())
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line));
    },
    async summary(from, to) {
      const query = new URLSearchParams();
      if (from !== undefined) query.set("from", from.toISOString());
      if (to !== undefined) query.set("to", to.toISOString());
      const response = await fetch(`${service.url}/admin/payments-summary?${query}`, { headers: token });
      const { totalRequests, totalAmount } = (await response.json()) as { totalRequests: number; totalAmount: number };
      return { totalRequests, totalAmount };
    },
  };
}
