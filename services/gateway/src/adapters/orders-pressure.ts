import { AppError } from "@pricing-engine/chassis/errors";
import { groupName, ordersLoad, topicName, topics } from "@pricing-engine/contracts";
import type { KafkaAdmin } from "@pricing-engine/kafka";
import type { Upstream } from "./upstream.ts";

const topicOfGroup = {
  "orders-inventory": topics.orderInventory,
  "orders-payment": topics.orderPayment,
  "orders-fulfillment": topics.orderFulfillment,
  "orders-notification": topics.orderNotification,
};

/**
 * What back-pressure on orders adds up. An order is in one of these places at a time: in an outbox, in a stage's topic, or with its charge
 * at the payment service.
 */
export function makeOrdersPressure(deps: {
  admin: Pick<KafkaAdmin, "groupLag">;
  prefix: string;
  upstream: Upstream;
}): Readonly<Record<"lag" | "load", (signal: AbortSignal) => Promise<number>>> {
  const { admin, prefix, upstream } = deps;
  return {
    async lag() {
      const lags = await Promise.all(
        Object.entries(topicOfGroup).map(([group, topic]) =>
          admin.groupLag(groupName(prefix, group), [topicName(prefix, topic)]),
        ),
      );
      return lags.reduce((sum, { total }) => sum + Number(total), 0);
    },
    async load(signal) {
      const operation = "GET /internal/load";
      const request = { method: "GET", target: "/internal/load", operation, headers: {}, repeatable: true } as const;
      const { status, body } = await upstream.request({ ...request, timeoutMs: 3_000, signal });
      const text = Buffer.from(await body.arrayBuffer()).toString();
      if (status !== 200) throw new AppError("unavailable", { context: { operation, status } });
      const { unsentOutbox, unfinishedCharges } = ordersLoad.parse(JSON.parse(text));
      return unsentOutbox + unfinishedCharges;
    },
  };
}
