import { type SpawnedService, spawnService } from "@pricing-engine/testkit";

export type DumpedPayment = { correlationId: string; amountMinor: number; refunded: boolean };

export type Processor = {
  service: SpawnedService;
  url: string;
  set(name: "delay" | "hold" | "failure" | "refunds", value: number | boolean): Promise<void>;
  dump(): Promise<DumpedPayment[]>;
};

const token = { "x-rinha-token": "123" };

/** The simulated processor as a process of its own: what it recorded outlives what is done to everybody else. */
export async function startProcessor(fee: string): Promise<Processor> {
  const entry = new URL("../../../../test/simulators/processor/main.ts", import.meta.url);
  const service = await spawnService({ entry, args: ["--fee", fee] });
  return {
    service,
    url: service.url,
    async set(name, value) {
      const response = await fetch(`${service.url}/admin/configurations/${name}`, {
        method: "PUT",
        headers: { ...token, "content-type": "application/json" },
        body: JSON.stringify({ [name]: value }),
      });
      if (!response.ok) throw new Error(`${name}: ${response.status} ${await response.text()}`);
    },
    async dump() {
      const text = await (await fetch(`${service.url}/admin/dump`, { headers: token })).text();
      return text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as DumpedPayment);
    },
  };
}
