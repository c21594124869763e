import { setTimeout as delay } from "node:timers/promises";
import type { PriceResponse } from "@pricing-engine/contracts";
import type { EngineClient } from "./client.ts";

/** Pricing settings under which a product costs what its demand says: so a test can tell old prices from new ones. */
export const demandIsPrice = {
  signals: { ttl: { demand: "0s", competitor_price: "0s", stock: "0s", cost: "0s" } },
  policy: { market: [{ name: "demand", when: "signals.demand > 0.0", adjust: { set: "signals.demand" } }] },
};

export function priceOf({ final_price }: PriceResponse): number {
  return Number(final_price);
}

export interface MovingPrice {
  /** The highest demand whose event was acknowledged. */
  acknowledged(): number;
  /** Ends the events; gives back the tasks of all that were acknowledged. */
  stop(): Promise<readonly string[]>;
}

/** Publishes ever higher demand for a product, one event after another; a refused one is sent again, unchanged. */
export function movePrice(client: EngineClient, productId: string, options: { everyMs?: number } = {}): MovingPrice {
  const taskIds: string[] = [];
  let stopping = false;
  let acknowledged = 0;
  const run = async (): Promise<void> => {
    for (let cents = 101; !stopping; cents += 1) {
      const demand = cents / 100;
      const event = { type: "demand", product_id: productId, demand, event_id: `${productId}-${cents}` };
      for (let sent = false; !sent && !stopping; ) {
        const taskId = await client.publish(event).catch(() => undefined);
        sent = taskId !== undefined;
        if (taskId === undefined) await delay(50);
        else {
          taskIds.push(taskId);
          acknowledged = demand;
        }
      }
      await delay(options.everyMs ?? 20);
    }
  };
  const running = run();
  return {
    acknowledged: () => acknowledged,
    async stop() {
      stopping = true;
      await running;
      return taskIds;
    },
  };
}
